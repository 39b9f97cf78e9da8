// GGUF's tensor names for plain decoders (the GGUF specification's standardized names), over Hugging Face's.
#include "models/encoder_parts.h"

namespace transom {

Rules gguf_decoder_rules() {
  return {
      Rename{"model.embed_tokens.*", "token_embd.*"},
      Rename{"model.norm.*", "output_norm.*"},
      Rename{"lm_head.*", "output.*"},
      Rename{"model.layers.*.input_layernorm.*", "blk.*.attn_norm.*"},
      Rename{"model.layers.*.post_attention_layernorm.*", "blk.*.ffn_norm.*"},
      Rename{"model.layers.*.self_attn.q_proj.*", "blk.*.attn_q.*"},
      Rename{"model.layers.*.self_attn.k_proj.*", "blk.*.attn_k.*"},
      Rename{"model.layers.*.self_attn.v_proj.*", "blk.*.attn_v.*"},
      Rename{"model.layers.*.self_attn.o_proj.*", "blk.*.attn_output.*"},
      Rename{"model.layers.*.self_attn.q_norm.*", "blk.*.attn_q_norm.*"},
      Rename{"model.layers.*.self_attn.k_norm.*", "blk.*.attn_k_norm.*"},
      Rename{"model.layers.*.mlp.gate_proj.*", "blk.*.ffn_gate.*"},
      Rename{"model.layers.*.mlp.up_proj.*", "blk.*.ffn_up.*"},
      Rename{"model.layers.*.mlp.down_proj.*", "blk.*.ffn_down.*"},
      Drop{"rope_freqs.weight"},  // read into the config as frequency factors
  };
}

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

Rules gguf_sandwich_rules() {
  Rules rules = {Rename{"model.layers.*.post_attention_layernorm.*", "blk.*.post_attention_norm.*"},
                 Rename{"model.layers.*.pre_feedforward_layernorm.*", "blk.*.ffn_norm.*"},
                 Rename{"model.layers.*.post_feedforward_layernorm.*", "blk.*.post_ffw_norm.*"}};
  rules += gguf_decoder_rules();
  return rules;
}

Rules gguf_reordered_rules() { return gguf_sandwich_rules(); }  // there is no norm before either sublayer

Rules gguf_fused_qkv() {
  return {Fused{"blk.*.attn_qkv.*", {"model.layers.*.self_attn.q_proj.*", "model.layers.*.self_attn.k_proj.*", "model.layers.*.self_attn.v_proj.*"}}};
}

Rules gguf_fused_gate_up() { return {Fused{"blk.*.ffn_up.*", {"model.layers.*.mlp.gate_proj.*", "model.layers.*.mlp.up_proj.*"}}}; }

void gguf_rows_in_pairs(Json& config) { config["rope_interleaved"] = true; }

}  // namespace transom
