// GGUF's names and keys of T5: see seq2seq_parts.h.
#include "models/seq2seq_parts.h"

namespace transom {
namespace {

// A feed-forward is gated where it has a gate: then with a gelu, otherwise with a relu.
void adjust(Json& config) {
  config["feed_forward_proj"] = config.value("gated", false) ? "gated-gelu" : "relu";
  for (const char* key : {"gated", "intermediate_size", "num_attention_heads", "num_key_value_heads", "head_dim", "rms_norm_eps"}) config.erase(key);
}

Rules side_rules(const std::string& side, const std::string& gguf) {
  const std::string block = side + ".block.*.layer.", to = gguf + ".blk.*.", mlp = side == "encoder" ? "1." : "2.";
  Rules rules = {Rename{block + "0.layer_norm.*", to + "attn_norm.*"},
                 Rename{block + "0.SelfAttention.relative_attention_bias.*", to + "attn_rel_b.*"},
                 Rename{block + mlp + "layer_norm.*", to + "ffn_norm.*"},
                 Rename{block + mlp + "DenseReluDense.wi_0.*", to + "ffn_gate.*"},
                 Rename{block + mlp + "DenseReluDense.wi_1.*", to + "ffn_up.*"},
                 Rename{block + mlp + "DenseReluDense.wi.*", to + "ffn_up.*"},
                 Rename{block + mlp + "DenseReluDense.wo.*", to + "ffn_down.*"},
                 Rename{side + ".final_layer_norm.*", gguf + ".output_norm.*"}};
  for (const std::string part : {"q", "k", "v", "o"})
    rules += {Rename{block + "0.SelfAttention." + part + ".*", to + "attn_" + part + ".*"},
              Rename{block + "1.EncDecAttention." + part + ".*", to + "cross_attn_" + part + ".*"}};
  return rules;
}

}  // namespace

GgufNames t5_gguf() {
  Rules rules = {Rename{"shared.*", "token_embd.*"},
                 Rename{"lm_head.*", "output.*"},
                 Rename{"decoder.block.*.layer.1.layer_norm.*", "dec.blk.*.cross_attn_norm.*"},
                 Drop{"dec.blk.*.cross_attn_rel_b.weight"}};
  rules += side_rules("encoder", "enc");
  rules += side_rules("decoder", "dec");
  return {.rules = std::move(rules),
          .keys = {{"block_count", "num_layers"}, {"decoder_block_count", "num_decoder_layers"}, {"feed_forward_length", "d_ff"},
                   {"attention.head_count", "num_heads"}, {"attention.key_length", "d_kv"}, {"attention.layer_norm_epsilon", "layer_norm_epsilon"},
                   {"attention.relative_buckets_count", "relative_attention_num_buckets"},
                   {"decoder_start_token_id", "decoder_start_token_id"}},
          .present = {{"enc.blk.0.ffn_gate.weight", "gated"}},
          .adjust = adjust};
}

}  // namespace transom
