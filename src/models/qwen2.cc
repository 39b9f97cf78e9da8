// Qwen 2 and 2.5 (Yang et al. 2024) and Qwen 3 dense (Yang et al. 2025; transformers modeling_qwen2, modeling_qwen3): Llama's
// layers; Qwen 2 with biases on q, k and v, Qwen 3 with a norm over each head of q and k. From max_window_layers on, layers may
// see a window.
#include "models/decoder_parts.h"

namespace transom {
namespace {

AttentionOfLayer windowed(const Config& c, const DecoderParts& p) {
  const int64_t from = c.i("max_window_layers", 28);
  const bool on = c.b("use_sliding_window", false);
  nn::AttentionSpec local = p.attention;
  local.mask.window = on ? sliding_window(c, 4096) : 0;
  if (!on) c.ignore("sliding_window");
  const std::vector<bool> sliding = sliding_layers(c, p.layers, [&](int64_t i) { return local.mask.window > 0 && i >= from; });
  return [=](int64_t i) { return sliding[i] ? local : p.attention; };
}

std::unique_ptr<nn::Network> build_qwen2(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c);
  p.attention.qkv_bias = true;
  return pre_norm_decoder(root, p, windowed(c, p));
}

std::unique_ptr<nn::Network> build_qwen3(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.head_dim = 128});
  p.attention.qkv_bias = p.attention.out_bias = c.b("attention_bias", false);
  p.attention.qk_norm = p.norm;
  return pre_norm_decoder(root, p, windowed(c, p));
}

}  // namespace

Family qwen2_family() {
  return {.build = build_qwen2,
          .rules = {},
          .gguf = {.rules = gguf_decoder_rules()},
          .base_prefix = "model",
          .config_keys = decoder_keys({"rms_norm_eps", "hidden_act", "use_sliding_window", "sliding_window", "max_window_layers", "layer_types"})};
}

Family qwen3_family() {
  return {.build = build_qwen3,
          .rules = {},
          .gguf = {.rules = gguf_decoder_rules()},
          .base_prefix = "model",
          .config_keys = decoder_keys({"rms_norm_eps", "hidden_act", "attention_bias", "use_sliding_window", "sliding_window",
                                       "max_window_layers", "layer_types"})};
}

}  // namespace transom
