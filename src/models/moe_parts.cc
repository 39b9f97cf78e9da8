// moe_spec and the rest: see moe_parts.h.
#include "models/moe_parts.h"

#include <algorithm>

namespace transom {

nn::MoeSpec moe_spec(const Config& c, const DecoderParts& p, const char* inner_key) {
  const char* experts = c.has("num_local_experts") ? "num_local_experts" : "num_experts";
  const nn::MoeSpec m{.hidden = p.norm.size, .inner = c.size(inner_key), .experts = c.size(experts),
                      .routing = {.top_k = c.size("num_experts_per_tok")}, .act = p.mlp.act};
  nn::require_experts(c, m, experts, "num_experts_per_tok");
  return m;
}

std::vector<bool> sparse_layers(const Config& c, int64_t layers) {
  const int64_t step = c.size("decoder_sparse_step", 1);
  std::vector<bool> sparse;
  for (int64_t i = 0; i < layers; ++i) sparse.push_back((i + 1) % step == 0);
  for (const double i : c.floats("mlp_only_layers"))
    if (i >= 0 && i < static_cast<double>(layers)) sparse[static_cast<size_t>(i)] = false;
  return sparse;
}

std::vector<std::string_view> moe_keys(std::initializer_list<std::string_view> more) {
  std::vector<std::string_view> keys = decoder_keys({"rms_norm_eps", "hidden_act", "num_experts", "num_local_experts", "num_experts_per_tok"});
  keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

Rules gguf_moe_rules() {
  Rules rules = {
      Rename{"model.layers.*.mlp.gate.weight", "blk.*.ffn_gate_inp.weight"},
      Stacked{"model.layers.*.mlp.experts.*.gate_proj.weight", "blk.*.ffn_gate_exps.weight"},
      Stacked{"model.layers.*.mlp.experts.*.up_proj.weight", "blk.*.ffn_up_exps.weight"},
      Stacked{"model.layers.*.mlp.experts.*.down_proj.weight", "blk.*.ffn_down_exps.weight"},
      Rename{"model.layers.*.mlp.shared_expert_gate.weight", "blk.*.ffn_gate_inp_shexp.weight"},
      Rename{"model.layers.*.mlp.shared_expert.gate_proj.weight", "blk.*.ffn_gate_shexp.weight"},
      Rename{"model.layers.*.mlp.shared_expert.up_proj.weight", "blk.*.ffn_up_shexp.weight"},
      Rename{"model.layers.*.mlp.shared_expert.down_proj.weight", "blk.*.ffn_down_shexp.weight"},
  };
  rules += gguf_decoder_rules();
  return rules;
}

GgufNames::Names gguf_moe_keys(const GgufNames::Names& more) {
  GgufNames::Names keys = {{"expert_count", "num_experts"},
                           {"expert_used_count", "num_experts_per_tok"},
                           {"expert_feed_forward_length", "moe_intermediate_size"},
                           {"expert_shared_feed_forward_length", "shared_expert_intermediate_size"}};
  keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

}  // namespace transom
