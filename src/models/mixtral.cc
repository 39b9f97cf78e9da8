// Mixtral (Jiang et al. 2024; transformers modeling_mixtral): Mistral's layers with a mixture of experts, the chosen ones'
// probabilities made to sum to 1. Phi-3.5 MoE (Abdin et al. 2024; modeling_phimoe): the same names under LayerNorm, with
// SparseMixer's routing.
#include "models/moe_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> with_experts(const Scope& root, const DecoderParts& p, nn::MoeSpec moe) {
  moe.gate = "w1", moe.up = "w3", moe.down = "w2";
  return pre_norm_decoder(root, p, {}, [&](const Scope& s, int64_t) { return nn::layer<nn::Moe>(s / "block_sparse_moe", moe); });
}

std::unique_ptr<nn::Network> build_mixtral(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.eps = 1e-5, .rope_theta = 1e6});
  p.attention.mask.window = sliding_window(c, 0);
  nn::MoeSpec moe = moe_spec(c, p);
  moe.routing.normalize = true;
  c.ignore("router_jitter_noise");  // of training
  return with_experts(root, p, moe);
}

// Longrope as transformers computes it here: always the short factors, with a factor on cos and sin that the config says.
std::shared_ptr<const nn::RopeSpec> with_mscale(const Config& c, const nn::RopeSpec& rope) {
  std::optional<Config> values = c.sub("rope_parameters");
  if (!values) values = c.sub("rope_scaling");
  nn::RopeSpec r = rope;
  if (values && values->has("short_mscale")) {
    r.factor = values->f("short_mscale");
    values->require(values->f("long_mscale") == r.factor, "long_mscale", "the same as short_mscale");
    r.long_inv_freq.clear();
  }
  return std::make_shared<nn::RopeSpec>(std::move(r));
}

std::unique_ptr<nn::Network> build_phimoe(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.norm = nn::Norm::kLayer, .eps = 1e-5, .rope_theta = 1e6});
  p.attention.mask.window = sliding_window(c, 0);
  p.attention.qkv_bias = p.attention.out_bias = c.b("attention_bias", false);
  p.attention.rope = with_mscale(c, *p.attention.rope);
  p.decoder.head_bias = c.b("lm_head_bias", false);
  nn::MoeSpec moe = moe_spec(c, p);
  moe.routing.scoring = Scoring::kSparseMixer;
  moe.routing.jitter = static_cast<float>(c.f("router_jitter_noise", 0.01));
  c.ignore("input_jitter_noise");  // of training
  return with_experts(root, p, moe);
}

// No window is written as a window of 0.
void adjust_phimoe(Json& config) {
  if (config.value("sliding_window", 0) == 0) config["sliding_window"] = nullptr;
}

Rules gguf_rules() {
  const std::string moe = "model.layers.*.block_sparse_moe.";
  Rules rules = {Rename{moe + "gate.weight", "blk.*.ffn_gate_inp.weight"},
                 Stacked{moe + "experts.*.w1.weight", "blk.*.ffn_gate_exps.weight"},
                 Stacked{moe + "experts.*.w3.weight", "blk.*.ffn_up_exps.weight"},
                 Stacked{moe + "experts.*.w2.weight", "blk.*.ffn_down_exps.weight"}};
  rules += gguf_decoder_rules();
  return rules;
}

}  // namespace

Family mixtral_family() {
  return {.build = build_mixtral,
          .rules = {},
          .gguf = {.rules = gguf_rules(), .keys = gguf_moe_keys(), .adjust = gguf_rows_in_pairs},
          .base_prefix = "model",
          .config_keys = moe_keys({"sliding_window", "router_jitter_noise"})};
}

Family phimoe_family() {
  return {.build = build_phimoe,
          .rules = {},
          .gguf = {.rules = gguf_rules(),
                   .keys = gguf_moe_keys({{"attention.sliding_window", "sliding_window"}}),
                   .present = {{"blk.0.attn_q.bias", "attention_bias"}, {"output.bias", "lm_head_bias"}},
                   .adjust = adjust_phimoe},
          .base_prefix = "model",
          .config_keys = moe_keys({"sliding_window", "router_jitter_noise", "input_jitter_noise", "attention_bias", "lm_head_bias",
                                   "original_max_position_embeddings"})};
}

}  // namespace transom
