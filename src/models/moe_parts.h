// What families with mixtures of experts share: the values behind Hugging Face's common config keys.
#pragma once

#include "models/decoder_parts.h"
#include "nn/moe.h"

namespace transom {

// Reads num_experts (or num_local_experts) and num_experts_per_tok; the experts' size is read from `inner_key`, their
// activation is that of parts.mlp.
nn::MoeSpec moe_spec(const Config& c, const DecoderParts& parts, const char* inner_key = "intermediate_size");

// transformers' defaults for DeepSeek-V3's keys.
struct GroupedDefaults {
  int64_t groups = 1, top_groups = 1, shared = 1;
  bool normalize = true;
  double scale = 1;
};
// The mixture of DeepSeek-V3 and those that took it over: sigmoid scores, moved by a bias for the choice, of the best groups of
// experts, and shared experts as one feed-forward of n_shared_experts times their size.
nn::MoeSpec grouped_moe_spec(const Config& c, const DecoderParts& parts, const GroupedDefaults& defaults = {});
// Error unless top_k experts can be chosen from the best groups.
void require_expert_groups(const Config& c, const nn::MoeSpec& spec);

// Which layers are mixtures: `mlp_layer_types`, or those from first_k_dense_replace (`dense` when absent) on.
std::vector<bool> sparse_layers_after(const Config& c, int64_t layers, int64_t dense);

// Drops the layers past the model's last: num_nextn_predict_layers of them predict further tokens.
Rules without_prediction_layers(const Config& c);

// Feed-forwards in `mlp`: moe where `sparse` says so, else parts.mlp.
FeedForwardOfLayer some_sparse(const DecoderParts& parts, const nn::MoeSpec& moe, const std::vector<bool>& sparse);

// Which layers are mixtures: each decoder_sparse_step-th, less those in mlp_only_layers.
std::vector<bool> sparse_layers(const Config& c, int64_t layers);

// The keys of grouped_moe_spec, sparse_layers_after and without_prediction_layers beyond decoder_keys(), and how they are called.
std::vector<std::string_view> grouped_moe_keys(std::initializer_list<std::string_view> more = {});

// decoder_keys() and those of moe_spec.
std::vector<std::string_view> moe_keys(std::initializer_list<std::string_view> more = {});

// Hugging Face's names of Granite's experts, in the layers' `block_sparse_moe`.
Rules granite_moe_rules();

// GGUF's names of experts, router and shared expert (and of dense layers) in the layers' `scope`, beside those of every decoder,
// and the keys that speak of them.
Rules gguf_moe_rules(const std::string& scope = "mlp", const std::string& router = "gate");
GgufNames::Names gguf_moe_keys(const GgufNames::Names& more = {});
// Likewise of grouped_moe_spec, and what GGUF leaves out of its values.
GgufNames::Names gguf_grouped_moe_keys(const GgufNames::Names& more = {});
void gguf_grouped_moe(Json& config);
// GGUF's names and keys of decoders with gated delta nets. Where b and a are not `fused`, value head h goes with key head
// h modulo their number.
GgufNames gguf_gated_delta(bool fused);
GgufNames mimo_v2_gguf();

}  // namespace transom
