// Command R (transformers modeling_cohere) and Command R7B (modeling_cohere2): parallel blocks, LayerNorm without bias, rotation
// by adjacent pairs, scaled logits; R7B rotates in its windowed layers only.
#include "models/decoder_parts.h"

namespace transom {
namespace {

DecoderParts parts(const Config& c) {
  DecoderParts p = decoder_parts(c, {.norm = nn::Norm::kLayer, .eps_key = "layer_norm_eps", .eps = 1e-5, .tied = true});
  p.norm.bias = p.decoder.norm.bias = false;
  p.attention.rope = interleaved(*p.attention.rope);
  p.attention.qkv_bias = p.attention.out_bias = c.b("attention_bias", false);
  p.decoder.logit_scale = c.f("logit_scale", 0.0625);
  return p;
}

std::unique_ptr<nn::Network> build_cohere(const Config& c, const Scope& root) {
  c.require(!c.b("use_qk_norm", false), "use_qk_norm", "false");
  return parallel_decoder(root, parts(c));
}

std::unique_ptr<nn::Network> build_cohere2(const Config& c, const Scope& root) {
  const DecoderParts p = parts(c);
  nn::AttentionSpec local = p.attention, full = p.attention;
  local.mask.window = sliding_window(c, 4096);
  full.rope = nullptr;
  const int64_t pattern = c.size("sliding_window_pattern", c.size("_sliding_window_pattern", 4));
  const std::vector<bool> sliding = sliding_layers(c, p.layers, [&](int64_t i) { return (i + 1) % pattern != 0; });
  return parallel_decoder(root, p, [&](int64_t i) { return sliding[i] ? local : full; });
}

}  // namespace

Family cohere_family() {
  return {.build = build_cohere,
          .rules = {},
          .gguf = {.rules = gguf_decoder_rules(), .keys = {{"attention.layer_norm_epsilon", "layer_norm_eps"}, {"logit_scale", "logit_scale"}}},
          .base_prefix = "model",
          .config_keys = decoder_keys({"layer_norm_eps", "hidden_act", "attention_bias", "logit_scale", "use_qk_norm"})};
}

Family cohere2_family() {
  return {.build = build_cohere2,
          .rules = {},
          .gguf = {.rules = gguf_decoder_rules(),
                   .keys = {{"attention.layer_norm_epsilon", "layer_norm_eps"}, {"logit_scale", "logit_scale"},
                            {"attention.sliding_window", "sliding_window"}}},
          .base_prefix = "model",
          .config_keys = decoder_keys({"layer_norm_eps", "hidden_act", "attention_bias", "logit_scale", "sliding_window",
                                       "sliding_window_pattern", "layer_types"})};
}

}  // namespace transom
