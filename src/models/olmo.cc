// OLMo 1 (Groeneveld et al. 2024; transformers modeling_olmo): Llama's layers with LayerNorm that has no parameters.
#include "models/decoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.norm = nn::Norm::kLayer, .eps = 1e-5});
  p.norm.weight = p.norm.bias = p.decoder.norm.weight = p.decoder.norm.bias = false;
  p.attention.qkv_bias = p.attention.out_bias = c.b("attention_bias", false);
  p.attention.clip = c.f("clip_qkv", 0);
  return pre_norm_decoder(root, p);
}

}  // namespace

Family olmo_family() {
  return {.build = build,
          .rules = {},
          .gguf = {.rules = gguf_decoder_rules(), .keys = {{"attention.layer_norm_epsilon", ""}}, .adjust = gguf_rows_in_pairs},
          .base_prefix = "model",
          .config_keys = decoder_keys({"hidden_act", "attention_bias", "clip_qkv"})};
}

}  // namespace transom
