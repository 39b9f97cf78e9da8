// What families of state-space models share.
#pragma once

#include "models/decoder_parts.h"
#include "nn/mamba.h"

namespace transom {

// embed -> n times Single(mixer) -> norm -> head, under Mamba's own names below "backbone". Reads vocab_size, hidden_size,
// num_hidden_layers, layer_norm_epsilon, tie_word_embeddings.
std::unique_ptr<nn::Network> backbone_decoder(const Config& c, const Scope& root, bool tied, const FeedForwardOfLayer& mixer);
// Names between that and a decoder's.
Rules backbone_rules();
// The config keys that backbone_decoder reads, those that speak of training alone, and `more`.
std::vector<std::string_view> backbone_keys(std::initializer_list<std::string_view> more);
void ignore_initial_values(const Config& c);

// GGUF's names of a Mamba or Mamba2 in the layers' `mixer`; A is stored as such, not as its logarithm.
Rules gguf_mamba_rules(const std::string& mixer);
// Likewise of backbone_decoder's other parameters and of its keys.
GgufNames backbone_gguf(void (*adjust)(Json& config));
// For those who call norm_eps or the like what GGUF has for all: erases the keys that are of no use in a backbone.
void gguf_backbone(Json& config);

// time_step_limit, (0, infinite) where absent: the bounds of spec's time step.
void read_time_limits(const Config& c, nn::Mamba2Spec& spec);

// A Mamba2 within a hybrid, from the keys that begin with mamba_, gated norm included.
nn::Mamba2Spec hybrid_mamba2(const Config& c, const DecoderParts& p);
std::vector<std::string_view> hybrid_mamba2_keys(std::initializer_list<std::string_view> more);
// The keys of GGUF files for it.
GgufNames::Names gguf_hybrid_mamba2_keys(const GgufNames::Names& more);

}  // namespace transom
