// GGUF's names of encoders' parameters and keys: see encoder_parts.h.
#include "models/encoder_parts.h"

namespace transom {

Rules gguf_encoder_rules() {
  return {
      Rename{"embeddings.word_embeddings.*", "token_embd.*"},
      Rename{"embeddings.position_embeddings.*", "position_embd.*"},
      Rename{"embeddings.token_type_embeddings.*", "token_types.*"},
      Rename{"embeddings.LayerNorm.*", "token_embd_norm.*"},
      Rename{"encoder.layer.*.attention.self.query.*", "blk.*.attn_q.*"},
      Rename{"encoder.layer.*.attention.self.key.*", "blk.*.attn_k.*"},
      Rename{"encoder.layer.*.attention.self.value.*", "blk.*.attn_v.*"},
      Rename{"encoder.layer.*.attention.output.dense.*", "blk.*.attn_output.*"},
      Rename{"encoder.layer.*.attention.output.LayerNorm.*", "blk.*.attn_output_norm.*"},
      Rename{"encoder.layer.*.intermediate.dense.*", "blk.*.ffn_up.*"},
      Rename{"encoder.layer.*.output.dense.*", "blk.*.ffn_down.*"},
      Rename{"encoder.layer.*.output.LayerNorm.*", "blk.*.layer_output_norm.*"},
  };
}

// config.json counts the labels by their names.
static void name_labels(Json& config) {
  const Json labels = config.value("id2label", Json::array());
  config.erase("id2label");
  for (size_t i = 0; i < labels.size(); ++i) config["id2label"][std::to_string(i)] = labels[i];
}

// The head of RoBERTa and its kin, which is that of BERT by other names; BERT's own is not written.
GgufNames bert_gguf() {
  Rules rules = {Rename{"pooler.dense.*", "cls.*"}, Rename{"classifier.*", "cls.output.*"}};
  rules += gguf_encoder_rules();
  return {.rules = std::move(rules),
          .keys = {{"attention.layer_norm_epsilon", "layer_norm_eps"}, {"attention.causal", ""}, {"pooling_type", ""},
                   {"classifier.output_labels", "id2label"}},
          .rows = {{"token_types.weight", "type_vocab_size"}, {"position_embd.weight", "max_position_embeddings"}},
          .adjust = [](Json& config) {
            config.erase("head_dim");
            name_labels(config);
          }};
}

GgufNames nomic_bert_gguf() {
  Rules rules = {Fused{"blk.*.attn_qkv.*", {"layers.*.self_attn.q_proj.*", "layers.*.self_attn.k_proj.*", "layers.*.self_attn.v_proj.*"}},
                 Rename{"layers.*.self_attn.o_proj.*", "blk.*.attn_output.*"},
                 Rename{"layers.*.post_attention_layernorm.*", "blk.*.attn_output_norm.*"},
                 Rename{"layers.*.post_mlp_layernorm.*", "blk.*.layer_output_norm.*"},
                 Rename{"layers.*.mlp.gate_proj.*", "blk.*.ffn_gate.*"},
                 Rename{"layers.*.mlp.up_proj.*", "blk.*.ffn_up.*"},
                 Rename{"layers.*.mlp.down_proj.*", "blk.*.ffn_down.*"}};
  rules += gguf_encoder_rules();
  return {.rules = std::move(rules),
          .keys = {{"attention.layer_norm_epsilon", "layer_norm_eps"}, {"attention.causal", ""}, {"pooling_type", ""}},
          .rows = {{"token_types.weight", "type_vocab_size"}},
          .adjust = [](Json& config) { config.erase("head_dim"); }};
}

// Called an RMS norm's, the eps is that of LayerNorm.
static void adjust_modernbert(Json& config) {
  config["norm_eps"] = config.value("rms_norm_eps", 1e-5);
  config["global_rope_theta"] = config.value("rope_theta", 160000.0);
  if (config.contains("classifier_pooling")) config["classifier_pooling"] = config["classifier_pooling"] == 1 ? "mean" : "cls";
  for (const char* key : {"rms_norm_eps", "rope_theta", "head_dim"}) config.erase(key);
  name_labels(config);
}

GgufNames modernbert_gguf() {
  return {.rules = {Fused{"blk.*.attn_qkv.*", {"layers.*.attn.q_proj.*", "layers.*.attn.k_proj.*", "layers.*.attn.v_proj.*"}},
                    Fused{"blk.*.ffn_up.*", {"layers.*.mlp.gate_proj.*", "layers.*.mlp.up_proj.*"}},
                    Rename{"embeddings.tok_embeddings.*", "token_embd.*"},
                    Rename{"embeddings.norm.*", "token_embd_norm.*"},
                    Rename{"final_norm.*", "output_norm.*"},
                    Rename{"head.dense.*", "cls.*"},
                    Rename{"head.norm.*", "cls.norm.*"},
                    Rename{"classifier.*", "cls.output.*"},
                    Rename{"layers.*.attn_norm.*", "blk.*.attn_norm.*"},
                    Rename{"layers.*.attn.Wo.*", "blk.*.attn_output.*"},
                    Rename{"layers.*.mlp_norm.*", "blk.*.ffn_norm.*"},
                    Rename{"layers.*.mlp.Wo.*", "blk.*.ffn_down.*"}},
          .keys = {{"attention.causal", ""}, {"pooling_type", ""}, {"classifier.pooling_type", "classifier_pooling"},
                   {"classifier.output_labels", "id2label"}, {"hidden_activation", "hidden_activation"},
                   {"attention.sliding_window", "local_attention"}, {"attention.sliding_window_pattern", "global_attn_every_n_layers"},
                   {"rope.freq_base_swa", "local_rope_theta"}},
          .present = {{"output_norm.bias", "norm_bias"}, {"blk.0.attn_qkv.bias", "attention_bias"}, {"blk.0.ffn_up.bias", "mlp_bias"},
                      {"cls.bias", "classifier_bias"}},
          .adjust = adjust_modernbert};
}

}  // namespace transom
