// ERNIE 4.5 dense (Baidu 2025; transformers modeling_ernie4_5): Llama's layers with rotation of adjacent pairs.
#include "models/decoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.eps = 1e-5, .head_dim = 128, .tied = true});
  p.attention.rope = interleaved(*p.attention.rope);
  p.attention.qkv_bias = p.attention.out_bias = p.mlp.bias = c.b("use_bias", false);
  return pre_norm_decoder(root, p);
}

}  // namespace

Family ernie4_5_family() {
  return {.build = build,
          .rules = {},
          .gguf = {.rules = gguf_decoder_rules(), .present = {{"blk.0.attn_q.bias", "use_bias"}}},
          .base_prefix = "model",
          .config_keys = decoder_keys({"rms_norm_eps", "hidden_act", "use_bias"})};
}

}  // namespace transom
