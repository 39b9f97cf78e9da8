// BLOOM (Le Scao et al. 2022; transformers modeling_bloom): pre-norm with LayerNorm, also over the embeddings, ALiBi, q, k and v
// of each head in turn in one tensor.
#include "models/decoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.norm = nn::Norm::kLayer, .eps_key = "layer_norm_epsilon", .eps = 1e-5, .act = "gelu_pytorch_tanh",
                                     .gated = false, .inner_per_hidden = 4, .rotates = false, .tied = true});
  p.attention.qkv_bias = p.attention.out_bias = p.mlp.bias = true;
  p.attention.alibi = std::make_shared<std::vector<float>>(nn::alibi_slopes(p.attention.heads));
  p.decoder.embedding_norm = p.norm;
  c.require(!c.b("apply_residual_connection_post_layernorm", false), "apply_residual_connection_post_layernorm", "false");
  c.ignore("slow_but_exact");  // another order of the same sums
  return pre_norm_decoder(root, p);
}

Rules gguf_rules() {
  Rules rules = gguf_fused_qkv();
  rules += {Rename{"model.embed_norm.*", "token_embd_norm.*"}};
  rules += gguf_decoder_rules();
  return rules;
}

}  // namespace

Family bloom_family() {
  return {.build = build,
          .rules = {Fused{"transformer.h.*.self_attention.query_key_value.*",
                          {"model.layers.*.self_attn.q_proj.*", "model.layers.*.self_attn.k_proj.*", "model.layers.*.self_attn.v_proj.*"},
                          Fused::Order::kPerHead},
                    Rename{"model.embed_tokens.*", "transformer.word_embeddings.*"},
                    Rename{"model.embed_norm.*", "transformer.word_embeddings_layernorm.*"},
                    Rename{"model.norm.*", "transformer.ln_f.*"},
                    Rename{"model.layers.*.self_attn.o_proj.*", "transformer.h.*.self_attention.dense.*"},
                    Rename{"model.layers.*.mlp.up_proj.*", "transformer.h.*.mlp.dense_h_to_4h.*"},
                    Rename{"model.layers.*.mlp.down_proj.*", "transformer.h.*.mlp.dense_4h_to_h.*"},
                    Rename{"model.layers.*.**", "transformer.h.*.**"}},
          .gguf = {.rules = gguf_rules(), .keys = {{"attention.layer_norm_epsilon", "layer_norm_epsilon"}}},
          .base_prefix = "transformer",
          .config_keys = decoder_keys({"layer_norm_epsilon", "apply_residual_connection_post_layernorm"}),
          .config_aliases = {{"n_embed", "hidden_size"}, {"n_head", "num_attention_heads"}, {"n_layer", "num_hidden_layers"},
                             {"seq_length", "max_position_embeddings"}}};
}

}  // namespace transom
