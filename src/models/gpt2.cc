// GPT-2 (Radford et al. 2019; transformers modeling_gpt2): pre-norm with LayerNorm, learned positions, matrices stored as
// [in, out], q, k and v in one.
#include "models/decoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.norm = nn::Norm::kLayer, .eps_key = "layer_norm_epsilon", .eps = 1e-5, .act_key = "activation_function",
                                     .act = "gelu_new", .gated = false, .inner_per_hidden = 4, .rotates = false, .tied = true});
  p.attention.qkv_bias = p.attention.out_bias = p.mlp.bias = true;
  p.decoder.positions = c.size("max_position_embeddings", 1024);
  if (!c.b("scale_attn_weights", true)) p.attention.scale = 1;
  c.require(!c.b("scale_attn_by_inverse_layer_idx", false), "scale_attn_by_inverse_layer_idx", "false");
  c.require(!c.b("add_cross_attention", false), "add_cross_attention", "false");
  c.ignore("reorder_and_upcast_attn");  // a way of computing the same
  return pre_norm_decoder(root, p);
}

}  // namespace

Family gpt2_family() {
  Rules gguf = gguf_fused_qkv();
  gguf += {Rename{"model.embed_positions.*", "position_embd.*"}};
  gguf += gguf_decoder_rules();
  return {.build = build,
          .rules = {Fused{"transformer.h.*.attn.c_attn.*",
                          {"model.layers.*.self_attn.q_proj.*", "model.layers.*.self_attn.k_proj.*", "model.layers.*.self_attn.v_proj.*"}},
                    Rename{"model.embed_tokens.*", "transformer.wte.*"},
                    Rename{"model.embed_positions.*", "transformer.wpe.*"},
                    Rename{"model.norm.*", "transformer.ln_f.*"},
                    Rename{"model.layers.*.input_layernorm.*", "transformer.h.*.ln_1.*"},
                    Rename{"model.layers.*.post_attention_layernorm.*", "transformer.h.*.ln_2.*"},
                    Rename{"model.layers.*.self_attn.o_proj.*", "transformer.h.*.attn.c_proj.*"},
                    Rename{"model.layers.*.mlp.up_proj.*", "transformer.h.*.mlp.c_fc.*"},
                    Rename{"model.layers.*.mlp.down_proj.*", "transformer.h.*.mlp.c_proj.*"},
                    Transposed{"transformer.h.*.attn.*.weight"},
                    Transposed{"transformer.h.*.mlp.*.weight"},
                    Drop{"transformer.h.*.attn.bias"},
                    Drop{"transformer.h.*.attn.masked_bias"},
                    Drop{"h.*.attn.bias"}},
          .gguf = {.rules = gguf, .keys = {{"attention.layer_norm_epsilon", "layer_norm_epsilon"}}},
          .base_prefix = "transformer",
          .config_keys = decoder_keys({"layer_norm_epsilon", "activation_function", "scale_attn_weights", "scale_attn_by_inverse_layer_idx",
                                       "add_cross_attention"}),
          .config_aliases = {{"n_embd", "hidden_size"}, {"n_head", "num_attention_heads"}, {"n_layer", "num_hidden_layers"},
                             {"n_positions", "max_position_embeddings"}, {"n_inner", "intermediate_size"}}};
}

}  // namespace transom
