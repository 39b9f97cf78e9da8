// GGUF's tensor names for plain decoders (the GGUF specification's standardized names), over Hugging Face's.
#include "models/decoder_parts.h"

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

void gguf_layer_types(Json& config, std::string_view attention, std::string_view other) {
  const Json heads = config["num_key_value_heads"];
  if (!heads.is_array()) return;
  config["layer_types"] = Json::array();
  config["num_key_value_heads"] = 0;
  for (const Json& n : heads) {
    config["layer_types"].push_back(n > 0 ? attention : other);
    if (n > 0) config["num_key_value_heads"] = n;
  }
}

void gguf_rows_in_pairs(Json& config) { config["rope_interleaved"] = true; }

}  // namespace transom
