// GPT-J (Wang and Komatsuzaki 2021; transformers modeling_gptj): parallel blocks with one norm, rotation of adjacent pairs in the
// first rotary_dim elements of a head, a biased head.
#include "models/decoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.norm = nn::Norm::kLayer, .eps_key = "layer_norm_epsilon", .eps = 1e-5, .act_key = "activation_function",
                                     .act = "gelu_new", .gated = false, .inner_per_hidden = 4, .rotates = false});
  p.attention.rope = interleaved(nn::plain_rope(c.size("rotary_dim", 64), 10000));
  p.mlp.bias = p.decoder.head_bias = true;
  return parallel_decoder(root, p);
}

}  // namespace

Family gptj_family() {
  return {.build = build,
          .rules = {Rename{"model.embed_tokens.*", "transformer.wte.*"},
                    Rename{"model.norm.*", "transformer.ln_f.*"},
                    Rename{"model.layers.*.input_layernorm.*", "transformer.h.*.ln_1.*"},
                    Rename{"model.layers.*.self_attn.o_proj.*", "transformer.h.*.attn.out_proj.*"},
                    Rename{"model.layers.*.self_attn.*.*", "transformer.h.*.attn.*.*"},
                    Rename{"model.layers.*.mlp.up_proj.*", "transformer.h.*.mlp.fc_in.*"},
                    Rename{"model.layers.*.mlp.down_proj.*", "transformer.h.*.mlp.fc_out.*"},
                    Drop{"transformer.h.*.attn.bias"},
                    Drop{"transformer.h.*.attn.masked_bias"}},
          .gguf = {},
          .base_prefix = "transformer",
          .config_keys = decoder_keys({"layer_norm_epsilon", "activation_function", "rotary_dim"}),
          .config_aliases = {{"n_embd", "hidden_size"}, {"n_head", "num_attention_heads"}, {"n_layer", "num_hidden_layers"},
                             {"n_positions", "max_position_embeddings"}, {"n_inner", "intermediate_size"}}};
}

}  // namespace transom
