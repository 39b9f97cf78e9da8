// What families with mixtures of experts share: the values behind Hugging Face's common config keys.
#pragma once

#include "models/decoder_parts.h"
#include "nn/moe.h"

namespace transom {

// Reads num_experts (or num_local_experts) and num_experts_per_tok; the experts' size is read from `inner_key`, their
// activation is that of parts.mlp.
nn::MoeSpec moe_spec(const Config& c, const DecoderParts& parts, const char* inner_key = "intermediate_size");

// Which layers are mixtures: each decoder_sparse_step-th, less those in mlp_only_layers.
std::vector<bool> sparse_layers(const Config& c, int64_t layers);

// decoder_keys() and those of moe_spec.
std::vector<std::string_view> moe_keys(std::initializer_list<std::string_view> more = {});

// GGUF's names of experts, router and shared expert in the layers' `mlp`, beside those of every decoder, and the keys that
// speak of them.
Rules gguf_moe_rules();
GgufNames::Names gguf_moe_keys(const GgufNames::Names& more = {});

}  // namespace transom
