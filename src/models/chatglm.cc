// ChatGLM 2 and 3 and GLM-4's first checkpoints (Zeng et al. 2024), remote code on the hub: GLM's layers, rotation of adjacent pairs
// in half of each head, q, k, v and gate, up each in one tensor.
#include "models/decoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.eps_key = "layernorm_epsilon", .eps = 1e-5, .rotates = false});
  p.attention.kv_heads = c.b("multi_query_attention", false) ? c.size("multi_query_group_num", 1) : p.attention.heads;
  nn::require_groups(c, p.attention.heads, p.attention.kv_heads);
  c.require(p.attention.head_dim % 4 == 0, "kv_channels", "a multiple of 4");
  p.attention.rope = interleaved(nn::plain_rope(p.attention.head_dim / 2, 10000 * c.f("rope_ratio", 1)));
  p.attention.qkv_bias = c.b("add_qkv_bias", false) || c.b("add_bias_linear", false);
  p.attention.out_bias = p.mlp.bias = c.b("add_bias_linear", false);
  p.norm.kind = p.decoder.norm.kind = c.b("rmsnorm", true) ? nn::Norm::kRms : nn::Norm::kLayer;
  p.norm.bias = p.decoder.norm.bias = !c.b("rmsnorm", true);
  p.decoder.final_norm = c.b("post_layer_norm", true);
  c.require(!c.b("apply_residual_connection_post_layernorm", false), "apply_residual_connection_post_layernorm", "false");
  c.require(!c.has("pre_seq_len"), "pre_seq_len", "null");
  c.require(c.i("quantization_bit", 0) == 0, "quantization_bit", "0");
  // How to compute the same, and training.
  for (const char* key : {"apply_query_key_layer_scaling", "attention_softmax_in_fp32", "fp32_residual_connection", "bias_dropout_fusion",
                          "original_rope", "prefix_projection", "pre_seq_len"})
    c.ignore(key);
  return pre_norm_decoder(root, p);
}

void adjust_gguf(Json& config) {
  config["multi_query_attention"] = true;
  config["multi_query_group_num"] = config.value("num_key_value_heads", 0);
  config["rope_ratio"] = config.value("rope_theta", 10000.0) / 10000;
  config["layernorm_epsilon"] = config.value("rms_norm_eps", 1e-5);
  for (const char* key : {"num_key_value_heads", "rope_theta", "rms_norm_eps", "partial_rotary_factor"}) config.erase(key);
}

GgufNames gguf() {
  Rules rules = gguf_fused_qkv();
  rules += gguf_fused_gate_up();
  rules += gguf_decoder_rules();
  return {.rules = std::move(rules), .present = {{"blk.0.attn_qkv.bias", "add_qkv_bias"}}, .adjust = adjust_gguf};
}

}  // namespace

Family chatglm_family() {
  return {.build = build,
          .rules = {Fused{"transformer.encoder.layers.*.self_attention.query_key_value.*",
                          {"model.layers.*.self_attn.q_proj.*", "model.layers.*.self_attn.k_proj.*", "model.layers.*.self_attn.v_proj.*"}},
                    Fused{"transformer.encoder.layers.*.mlp.dense_h_to_4h.*", {"model.layers.*.mlp.gate_proj.*", "model.layers.*.mlp.up_proj.*"}},
                    Rename{"model.embed_tokens.*", "transformer.embedding.word_embeddings.*"},
                    Rename{"lm_head.*", "transformer.output_layer.*"},
                    Rename{"model.norm.*", "transformer.encoder.final_layernorm.*"},
                    Rename{"model.layers.*.self_attn.o_proj.*", "transformer.encoder.layers.*.self_attention.dense.*"},
                    Rename{"model.layers.*.mlp.down_proj.*", "transformer.encoder.layers.*.mlp.dense_4h_to_h.*"},
                    Rename{"model.layers.*.**", "transformer.encoder.layers.*.**"},
                    Drop{"transformer.rotary_pos_emb.inv_freq"}},  // without rope_ratio
          .gguf = gguf(),
          .base_prefix = "transformer",
          .config_keys = decoder_keys({"layernorm_epsilon", "multi_query_attention", "multi_query_group_num", "add_qkv_bias", "add_bias_linear",
                                       "rmsnorm", "post_layer_norm", "rope_ratio", "quantization_bit"}),
          .config_aliases = {{"num_layers", "num_hidden_layers"}, {"padded_vocab_size", "vocab_size"}, {"kv_channels", "head_dim"},
                             {"ffn_hidden_size", "intermediate_size"}, {"seq_length", "max_position_embeddings"}}};
}

}  // namespace transom
