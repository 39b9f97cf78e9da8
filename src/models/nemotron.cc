// Nemotron (Parmar et al. 2024; transformers modeling_nemotron): pre-norm with LayerNorm of 1 + weight, a plain feed-forward of squared
// ReLU, a partial rotation.
#include "models/decoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  c.require(c.has("partial_rotary_factor") || c.has("rope_parameters"), "partial_rotary_factor", "a number");
  DecoderParts p = decoder_parts(c, {.norm = nn::Norm::kLayer, .eps_key = "norm_eps", .eps = 1e-5, .act = "relu2", .gated = false});
  p.norm.weight_offset = p.decoder.norm.weight_offset = 1;
  p.attention.qkv_bias = p.attention.out_bias = c.b("attention_bias", false);
  p.mlp.bias = c.b("mlp_bias", false);
  return pre_norm_decoder(root, p);
}

Rules gguf_rules() {  // whose norms are stored as 1 + weight
  Rules rules = gguf_decoder_rules();
  for (const char* name : {"model.norm.weight", "model.layers.*.input_layernorm.weight", "model.layers.*.post_attention_layernorm.weight"})
    rules += {Offset{name, -1}};
  return rules;
}

}  // namespace

Family nemotron_family() {
  return {.build = build,
          .rules = {},
          .gguf = {.rules = gguf_rules(), .keys = {{"attention.layer_norm_epsilon", "norm_eps"}}},
          .base_prefix = "model",
          .config_keys = decoder_keys({"norm_eps", "hidden_act", "attention_bias", "mlp_bias", "partial_rotary_factor"})};
}

}  // namespace transom
