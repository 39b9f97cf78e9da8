// ERNIE 4.5 (Baidu 2025; transformers modeling_ernie4_5, modeling_ernie4_5_moe): Llama's layers with rotation of adjacent pairs; in
// the larger ones mixtures of experts, whose choice a bias moves.
#include "models/moe_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.eps = 1e-5, .head_dim = 128, .tied = true});
  p.attention.rope = interleaved(*p.attention.rope);
  p.attention.qkv_bias = p.attention.out_bias = p.mlp.bias = c.b("use_bias", false);
  return pre_norm_decoder(root, p);
}

std::unique_ptr<nn::Network> build_moe(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.eps = 1e-5, .rope_theta = 500000, .tied = true});
  p.attention.rope = interleaved(*p.attention.rope);
  p.attention.qkv_bias = p.attention.out_bias = p.mlp.bias = p.decoder.head_bias = c.b("use_bias", false);
  nn::MoeSpec moe = moe_spec(c, p, "moe_intermediate_size");
  moe.routing.normalize = moe.correction_bias = true;
  c.require(c.f("moe_norm_min", 1e-12) <= 1e-6, "moe_norm_min", "a number below any sum of probabilities");
  if (const int64_t n = c.i("moe_num_shared_experts", 2); n > 0) {
    c.require(n <= moe.experts, "moe_num_shared_experts", "at most as many as routed ones");
    moe.shared = p.mlp;
    moe.shared->inner = n * moe.inner;
    moe.shared_name = "shared_experts";
  }
  const int64_t first = c.i("moe_layer_start_index", 1), every = c.size("moe_layer_interval", 1);
  const Json end = c.raw("moe_layer_end_index");  // -1: the last
  const int64_t last = end.is_number_integer() && end.get<int64_t>() >= 0 ? end.get<int64_t>() : p.layers - 1;
  std::vector<bool> sparse;
  for (int64_t i = 0; i < p.layers; ++i) sparse.push_back((i + 1) % every == 0 && i >= first && i <= last);
  return pre_norm_decoder(root, p, {}, some_sparse(p, moe, sparse));
}

}  // namespace

Family ernie4_5_moe_family() {
  return {.build = build_moe,
          .rules = {Rename{"model.layers.*.mlp.gate.e_score_correction_bias", "model.layers.*.mlp.moe_statics.e_score_correction_bias"},
                    // prediction of further tokens
                    Drop{"model.mtp_block.**"}, Drop{"model.mtp_emb_norm.**"}, Drop{"model.mtp_hidden_norm.**"}, Drop{"model.mtp_linear_proj.**"}},
          .gguf = {.rules = gguf_moe_rules(),
                   .keys = gguf_moe_keys({{"expert_shared_count", "moe_num_shared_experts"},
                                          {"expert_shared_feed_forward_length", ""},
                                          {"leading_dense_block_count", "moe_layer_start_index"},
                                          {"interleave_moe_layer_step", "moe_layer_interval"}}),
                   .present = {{"blk.0.attn_q.bias", "use_bias"}}},
          .base_prefix = "model",
          .config_keys = moe_keys({"use_bias", "moe_intermediate_size", "moe_num_experts", "moe_k", "moe_num_shared_experts",
                                   "moe_layer_start_index", "moe_layer_end_index", "moe_layer_interval", "moe_norm_min"}),
          .config_aliases = {{"moe_num_experts", "num_experts"}, {"moe_k", "num_experts_per_tok"}}};
}

Family ernie4_5_family() {
  return {.build = build,
          .rules = {},
          .gguf = {.rules = gguf_decoder_rules(), .present = {{"blk.0.attn_q.bias", "use_bias"}}},
          .base_prefix = "model",
          .config_keys = decoder_keys({"rms_norm_eps", "hidden_act", "use_bias"})};
}

}  // namespace transom
