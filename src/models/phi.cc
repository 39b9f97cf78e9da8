// Phi 1, 1.5 and 2 (Li et al. 2023; transformers modeling_phi): parallel blocks with LayerNorm, biases everywhere, a plain
// feed-forward and a partial rotation.
#include "models/decoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.norm = nn::Norm::kLayer, .eps_key = "layer_norm_eps", .eps = 1e-5, .act = "gelu_new", .gated = false});
  p.attention.qkv_bias = p.attention.out_bias = p.mlp.bias = p.decoder.head_bias = true;
  c.require(!c.b("qk_layernorm", false), "qk_layernorm", "false");
  c.ignore("embd_pdrop");
  c.ignore("resid_pdrop");
  return parallel_decoder(root, p);
}

}  // namespace

Family phi_family() {
  return {.build = build,
          .rules = {Rename{"model.norm.*", "model.final_layernorm.*"},
                    Rename{"model.layers.*.self_attn.o_proj.*", "model.layers.*.self_attn.dense.*"},
                    Rename{"model.layers.*.mlp.up_proj.*", "model.layers.*.mlp.fc1.*"},
                    Rename{"model.layers.*.mlp.down_proj.*", "model.layers.*.mlp.fc2.*"}},
          .gguf = {.rules = gguf_decoder_rules(), .keys = {{"attention.layer_norm_epsilon", "layer_norm_eps"}},
                   .rows = {{"blk.0.ffn_up.weight", "intermediate_size"}}},
          .base_prefix = "model",
          .config_keys = decoder_keys({"layer_norm_eps", "hidden_act", "qk_layernorm", "partial_rotary_factor"})};
}

}  // namespace transom
