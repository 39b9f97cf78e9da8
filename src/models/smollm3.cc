// SmolLM 3 (Bakouch et al. 2025; transformers modeling_smollm3): Llama's layers, every fourth without positions.
#include "models/decoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.rope_theta = 2e6, .tied = true});
  p.attention.qkv_bias = p.attention.out_bias = c.b("attention_bias", false);
  p.mlp.bias = c.b("mlp_bias", false);
  const int64_t interval = c.size("no_rope_layer_interval", 4);
  const std::vector<double> said = c.floats("no_rope_layers");  // 1: with positions
  c.require(said.empty() || static_cast<int64_t>(said.size()) == p.layers, "no_rope_layers", "as many as num_hidden_layers");
  const bool windows = c.b("use_sliding_window", false);
  const int32_t window = windows ? sliding_window(c, 0) : 0;
  if (!windows) c.ignore("sliding_window");
  const auto rotates = [=](int64_t i) { return said.empty() ? (i + 1) % interval != 0 : said[i] != 0; };
  const std::vector<bool> sliding = sliding_layers(c, p.layers, [&](int64_t i) { return window > 0 && !rotates(i); });
  return pre_norm_decoder(root, p, [&](int64_t i) {
    nn::AttentionSpec a = p.attention;
    if (!rotates(i)) a.rope = nullptr;
    if (sliding[i]) a.mask.window = window;
    return a;
  });
}

}  // namespace

Family smollm3_family() {
  return {.build = build,
          .rules = {},
          .gguf = {.rules = gguf_decoder_rules(), .adjust = gguf_rows_in_pairs},
          .base_prefix = "model",
          .config_keys = decoder_keys({"rms_norm_eps", "hidden_act", "attention_bias", "mlp_bias", "no_rope_layers", "no_rope_layer_interval",
                                       "use_sliding_window", "sliding_window", "layer_types"})};
}

}  // namespace transom
