// GLM-4.5 (Zhipu AI 2025; transformers modeling_glm4_moe) and GLM-4.7-Flash (2026; modeling_glm4_moe_lite), which has latent
// attention; dots.llm1 (rednote 2025; modeling_dots1): DeepSeek-V3's mixtures over three kinds of attention.
#include "models/latent_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build_glm(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.eps = 1e-5, .partial_rotary = 0.5});
  p.attention.qkv_bias = c.b("attention_bias", false);
  if (c.b("use_qk_norm", false)) p.attention.qk_norm = p.norm;
  c.ignore("num_nextn_predict_layers");  // without_prediction_layers
  return pre_norm_decoder(root, p, {}, some_sparse(p, grouped_moe_spec(c, p), sparse_layers_after(c, p.layers, 1)));
}

std::unique_ptr<nn::Network> build_glm_lite(const Config& c, const Scope& root) {
  const DecoderParts p = decoder_parts(c, {.eps = 1e-5, .rotates = false});
  return latent_decoder(c, root, p, latent_attention_spec(c, p, 768), grouped_moe_spec(c, p, {.scale = 1.8}), 1);
}

std::unique_ptr<nn::Network> build_dots(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c);
  p.attention.qkv_bias = p.attention.out_bias = c.b("attention_bias", false);
  p.attention.qk_norm = p.norm;
  nn::AttentionSpec local = p.attention;
  local.mask.window = sliding_window(c, 4096);
  const int64_t full = c.i("max_window_layers", 62);
  const std::vector<bool> sliding = sliding_layers(c, p.layers, [&](int64_t i) { return local.mask.window > 0 && i >= full; });
  const nn::MoeSpec moe = grouped_moe_spec(c, p, {.shared = 0, .normalize = false});
  return pre_norm_decoder(root, p, [&](int64_t i) { return sliding[i] ? local : p.attention; },
                          some_sparse(p, moe, sparse_layers_after(c, p.layers, 0)));
}

GgufNames glm_gguf() {
  Rules rules = {Rename{"model.layers.*.post_attention_layernorm.*", "blk.*.post_attention_norm.*"}};
  rules += gguf_moe_rules();
  return {.rules = std::move(rules),
          .keys = gguf_grouped_moe_keys(),
          .present = {{"blk.0.attn_q.bias", "attention_bias"}, {"blk.0.attn_q_norm.weight", "use_qk_norm"}},
          .adjust = gguf_grouped_moe};
}

Family family_of(std::unique_ptr<nn::Network> (*build)(const Config&, const Scope&), std::vector<std::string_view> keys, GgufNames gguf) {
  return {.build = build,
          .rules = {},
          .config_rules = without_prediction_layers,
          .gguf = std::move(gguf),
          .base_prefix = "model",
          .config_keys = std::move(keys),
          .config_aliases = {{"n_routed_experts", "num_experts"}}};
}

}  // namespace

Family glm4_moe_family() {
  return family_of(build_glm, grouped_moe_keys({"attention_bias", "use_qk_norm", "partial_rotary_factor"}), glm_gguf());
}
Family glm4_moe_lite_family() { return family_of(build_glm_lite, latent_keys(), {}); }  // converted as DeepSeek V3
Family dots1_family() {
  return family_of(build_dots, grouped_moe_keys({"attention_bias", "sliding_window", "max_window_layers", "layer_types"}),
                   {.rules = gguf_moe_rules(), .keys = gguf_grouped_moe_keys(), .adjust = gguf_grouped_moe});
}

}  // namespace transom
