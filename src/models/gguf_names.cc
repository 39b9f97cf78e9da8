// GGUF's tensor names for plain decoders (the GGUF specification's standardized names), over Hugging Face's.
#include "models/family.h"

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

}  // namespace transom
