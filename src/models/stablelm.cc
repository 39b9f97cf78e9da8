// StableLM (Bellagente et al. 2024; transformers modeling_stablelm): Llama's layers with LayerNorm, a partial rotation, perhaps in
// parallel blocks.
#include "models/decoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.norm = nn::Norm::kLayer, .eps_key = "layer_norm_eps", .eps = 1e-5});
  p.attention.qkv_bias = c.b("use_qkv_bias", false);
  c.require(!c.b("qk_layernorm", false), "qk_layernorm", "false");
  return c.b("use_parallel_residual", false) ? parallel_decoder(root, p) : pre_norm_decoder(root, p);
}

}  // namespace

Family stablelm_family() {
  return {.build = build,
          .rules = {},
          .gguf = {.rules = gguf_decoder_rules(),
                   .keys = {{"attention.layer_norm_epsilon", "layer_norm_eps"}, {"use_parallel_residual", "use_parallel_residual"}},
                   .present = {{"blk.0.attn_q.bias", "use_qkv_bias"}}},
          .base_prefix = "model",
          .config_keys = decoder_keys({"layer_norm_eps", "hidden_act", "use_qkv_bias", "qk_layernorm", "use_parallel_residual",
                                       "partial_rotary_factor"})};
}

}  // namespace transom
