// StarCoder 2 (Lozhkov et al. 2024; transformers modeling_starcoder2): pre-norm with LayerNorm, biases, a plain feed-forward and
// perhaps a window.
#include "models/decoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.norm = nn::Norm::kLayer, .eps_key = "norm_epsilon", .eps = 1e-5, .act = "gelu_pytorch_tanh",
                                     .gated = false, .tied = true});
  p.attention.qkv_bias = p.attention.out_bias = p.mlp.bias = c.b("use_bias", true);
  p.attention.mask.window = sliding_window(c, 0);
  return pre_norm_decoder(root, p);
}

}  // namespace

Family starcoder2_family() {
  return {.build = build,
          .rules = {Rename{"model.layers.*.mlp.up_proj.*", "model.layers.*.mlp.c_fc.*"},
                    Rename{"model.layers.*.mlp.down_proj.*", "model.layers.*.mlp.c_proj.*"}},
          .gguf = {.rules = gguf_decoder_rules(), .keys = {{"attention.layer_norm_epsilon", "norm_epsilon"}}, .present = {{"blk.0.attn_q.bias", "use_bias"}}},
          .base_prefix = "model",
          .config_keys = decoder_keys({"norm_epsilon", "hidden_act", "use_bias", "sliding_window"})};
}

}  // namespace transom
