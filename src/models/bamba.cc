// Bamba (IBM, Princeton, CMU, UIUC 2024; transformers modeling_bamba): Mamba 2, and attention with half of each head rotated in
// some layers.
#include <algorithm>

#include "models/mamba_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.eps = 1e-5, .partial_rotary = 0.5});
  p.attention.qkv_bias = p.attention.out_bias = c.b("attention_bias", false);
  p.mlp.bias = c.b("mlp_bias", false);
  c.ignore("z_loss_coefficient");  // of training
  const nn::Mamba2Spec m = hybrid_mamba2(c, p);
  const std::vector<double> attends = c.floats("attn_layer_indices");
  const auto mixer = [&](const Scope& s, int64_t i) {
    const bool attention = std::find(attends.begin(), attends.end(), static_cast<double>(i)) != attends.end();
    return attention ? nn::layer<nn::Attention>(s / "self_attn", p.attention) : nn::layer<nn::Mamba2>(s / "mamba", m);
  };
  return mixed_decoder(root, p, mixer, [&](const Scope& s, int64_t) { return nn::layer<nn::Mlp>(s / "feed_forward", p.mlp); });
}

}  // namespace

Family bamba_family() {
  return {.build = build,
          .rules = {Rename{"model.norm.*", "model.final_layernorm.*"},
                    Rename{"model.layers.*.post_attention_layernorm.*", "model.layers.*.pre_ff_layernorm.*"}},
          .gguf = {},
          .base_prefix = "model",
          .config_keys = hybrid_mamba2_keys({"mlp_bias", "attn_layer_indices"})};
}

}  // namespace transom
