// EXAONE 4 (LG AI Research 2025; transformers modeling_exaone4): norms on the sublayers' outputs and over heads of q and k; where
// some layers have windows, only those rotate.
#include "models/decoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.eps = 1e-5});
  p.attention.qk_norm = p.norm;
  nn::AttentionSpec local = p.attention, full = p.attention;
  local.mask.window = sliding_window(c, 4096);
  if (local.mask.window > 0) full.rope = nullptr;
  c.require(c.has("layer_types") || local.mask.window == 0, "layer_types", "a list, as transformers writes it");
  c.ignore("sliding_window_pattern");  // layer_types says it layer by layer
  const std::vector<bool> sliding = sliding_layers(c, p.layers, [](int64_t) { return false; });
  return reordered_decoder(root, p, [&](int64_t i) { return sliding[i] ? local : full; });
}

}  // namespace

Family exaone4_family() {
  return {.build = build,
          .rules = {},
          .gguf = {.rules = gguf_reordered_rules(),
                   .keys = {{"attention.sliding_window", "sliding_window"}, {"attention.sliding_window_pattern", "layer_types"}}},
          .base_prefix = "model",
          .config_keys = decoder_keys({"rms_norm_eps", "hidden_act", "sliding_window", "sliding_window_pattern", "layer_types"})};
}

}  // namespace transom
