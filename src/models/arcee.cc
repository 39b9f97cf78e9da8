// Arcee (AFM 4.5B; transformers modeling_arcee): Llama's layers with a plain feed-forward, down(relu(up x)²).
#include "models/decoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.eps = 1e-5, .act = "relu2", .gated = false});
  p.attention.qkv_bias = p.attention.out_bias = c.b("attention_bias", false);
  p.mlp.bias = c.b("mlp_bias", false);
  return pre_norm_decoder(root, p);
}

}  // namespace

Family arcee_family() {
  return {.build = build,
          .rules = {},
          .gguf = {.rules = gguf_decoder_rules(),
                   .present = {{"blk.0.attn_q.bias", "attention_bias"}, {"blk.0.ffn_up.bias", "mlp_bias"}},
                   .adjust = gguf_rows_in_pairs},
          .base_prefix = "model",
          .config_keys = decoder_keys({"rms_norm_eps", "hidden_act", "attention_bias", "mlp_bias"})};
}

}  // namespace transom
