// Granite 3 (IBM 2024; transformers modeling_granite): Llama's layers with multipliers on embeddings, scores, residuals and
// logits (muP).
#include "models/decoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = granite_parts(c);
  p.mlp.bias = c.b("mlp_bias", false);
  return pre_norm_decoder(root, p);
}

}  // namespace

DecoderParts granite_parts(const Config& c) {
  DecoderParts p = decoder_parts(c);
  p.attention.qkv_bias = p.attention.out_bias = c.b("attention_bias", false);
  p.attention.scale = c.f("attention_multiplier", 1);
  p.decoder.embedding_scale = c.f("embedding_multiplier", 1);
  p.decoder.logit_scale = 1 / c.f("logits_scaling", 1);
  p.residual_scale = c.f("residual_multiplier", 1);
  return p;
}

GgufNames granite_gguf(Rules rules) {
  return {.rules = std::move(rules),
          .keys = {{"attention.scale", "attention_multiplier"}, {"embedding_scale", "embedding_multiplier"},
                   {"residual_scale", "residual_multiplier"}, {"logit_scale", "logits_scaling"}},
          .present = {{"blk.0.attn_q.bias", "attention_bias"}},
          .adjust = gguf_rows_in_pairs};
}

Family granite_family() {
  return {.build = build,
          .rules = {},
          .gguf = granite_gguf(gguf_decoder_rules()),
          .base_prefix = "model",
          .config_keys = decoder_keys({"rms_norm_eps", "hidden_act", "attention_bias", "mlp_bias", "embedding_multiplier", "logits_scaling",
                                       "residual_multiplier", "attention_multiplier"})};
}

}  // namespace transom
