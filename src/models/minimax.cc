// MiniMax M2 (MiniMax 2025; transformers modeling_minimax_m2): Mixtral's layers with norms over whole rows of q and k, rotation of a
// part of each head, and sigmoid scores that a bias moves for the choice.
#include "models/moe_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  // Published configs give the rotated part as rotary_dim.
  const double partial = c.has("rotary_dim") ? static_cast<double>(c.size("rotary_dim")) / static_cast<double>(c.size("head_dim", 128)) : 1;
  DecoderParts p = decoder_parts(c, {.rope_theta = 5e6, .partial_rotary = partial, .head_dim = 128});
  p.attention.qk_norm = p.norm;
  p.attention.qk_norm_whole = true;
  c.require(c.b("use_qk_norm", true), "use_qk_norm", "true");
  c.require(c.s("qk_norm_type", "per_layer") == "per_layer", "qk_norm_type", "per_layer");
  for (const double type : c.floats("attn_type_list")) c.require(type == 1, "attn_type_list", "1 for every layer");
  nn::MoeSpec moe = moe_spec(c, p);
  moe.routing.scoring = Scoring::kSigmoid;
  moe.routing.normalize = true;
  c.require(c.s("scoring_func", "sigmoid") == "sigmoid", "scoring_func", "sigmoid");
  moe.correction_bias = c.b("use_routing_bias", true);
  c.require(c.i("shared_intermediate_size", 0) == 0, "shared_intermediate_size", "0");
  moe.gate = "w1", moe.up = "w3", moe.down = "w2";
  for (const char* key : {"router_jitter_noise", "shared_moe_mode", "use_mtp", "num_mtp_modules", "mtp_transformer_layers"}) c.ignore(key);
  return pre_norm_decoder(root, p, {}, [&](const Scope& s, int64_t) { return nn::layer<nn::Moe>(s / "block_sparse_moe", moe); });
}

Rules gguf_rules() {
  const std::string expert = "model.layers.*.block_sparse_moe.experts.*.";
  Rules rules = {Stacked{expert + "w1.weight", "blk.*.ffn_gate_exps.weight"},
                 Stacked{expert + "w3.weight", "blk.*.ffn_up_exps.weight"},
                 Stacked{expert + "w2.weight", "blk.*.ffn_down_exps.weight"}};
  rules += gguf_moe_rules("block_sparse_moe");
  return rules;
}

}  // namespace

Family minimax_m2_family() {
  return {.build = build,
          .rules = {Rename{"model.layers.*.block_sparse_moe.gate.e_score_correction_bias",
                           "model.layers.*.block_sparse_moe.e_score_correction_bias"}},
          .gguf = {.rules = gguf_rules(),
                   .keys = {{"expert_count", "num_experts"}, {"expert_used_count", "num_experts_per_tok"},
                            {"expert_feed_forward_length", "intermediate_size"}, {"expert_gating_func", ""}}},
          .base_prefix = "model",
          .config_keys = moe_keys({"router_jitter_noise", "rotary_dim", "partial_rotary_factor", "use_qk_norm", "qk_norm_type", "attn_type_list",
                                   "scoring_func", "use_routing_bias", "shared_intermediate_size"})};
}

}  // namespace transom
