// OLMo 2 (OLMo Team 2024) and 3 (2025; transformers modeling_olmo2, modeling_olmo3): norms on the sublayers' outputs, and over
// whole rows of q and k; OLMo 3 with windows in three layers of four.
#include "models/decoder_parts.h"

namespace transom {
namespace {

DecoderParts parts(const Config& c, const char* rope_layers) {
  DecoderParts p = decoder_parts(c, {.eps = 1e-5, .rope_layers = rope_layers});
  p.attention.qkv_bias = p.attention.out_bias = c.b("attention_bias", false);
  p.attention.qk_norm = p.norm;
  p.attention.qk_norm_whole = true;
  return p;
}

std::unique_ptr<nn::Network> build_olmo2(const Config& c, const Scope& root) {
  const DecoderParts p = parts(c, "");
  return reordered_decoder(root, p, {});
}

// The windowed layers rotate without the scaling of the others.
std::unique_ptr<nn::Network> build_olmo3(const Config& c, const Scope& root) {
  const DecoderParts p = parts(c, "full_attention");
  nn::AttentionSpec local = p.attention;
  local.rope = local_rope(c, local.head_dim, c.f("rope_theta", 10000));
  local.mask.window = sliding_window(c, 4096);
  const std::vector<bool> sliding = sliding_layers(c, p.layers, [](int64_t i) { return (i + 1) % 4 != 0; });
  return reordered_decoder(root, p, [&](int64_t i) { return sliding[i] ? local : p.attention; });
}

}  // namespace

Family olmo2_family() {
  return {.build = build_olmo2,
          .rules = {},
          .gguf = {.rules = gguf_reordered_rules()},
          .base_prefix = "model",
          .config_keys = decoder_keys({"rms_norm_eps", "hidden_act", "attention_bias"})};
}

Family olmo3_family() {
  return {.build = build_olmo3,
          .rules = {},
          .gguf = {.rules = gguf_reordered_rules(),
                   .keys = {{"attention.sliding_window", "sliding_window"}, {"attention.sliding_window_pattern", "layer_types"},
                            {"rope.freq_base_swa", ""}}},
          .base_prefix = "model",
          .config_keys = decoder_keys({"rms_norm_eps", "hidden_act", "attention_bias", "sliding_window", "layer_types"})};
}

}  // namespace transom
