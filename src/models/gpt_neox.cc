// GPT-NeoX and Pythia (Black et al. 2022; transformers modeling_gpt_neox): parallel blocks with a norm for each sublayer, a partial
// rotation, q, k and v of each head in turn in one tensor.
#include "models/decoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.norm = nn::Norm::kLayer, .eps_key = "layer_norm_eps", .eps = 1e-5, .act = "gelu", .gated = false});
  if (!c.has("rope_parameters")) {  // transformers 4
    const auto dim = static_cast<int64_t>(static_cast<double>(p.attention.head_dim) * c.f("rotary_pct", 0.25));
    p.attention.rope = std::make_shared<nn::RopeSpec>(nn::plain_rope(dim, c.f("rotary_emb_base", 10000)));
    c.require(!c.has("rope_scaling"), "rope_scaling", "null");
  }
  p.attention.qkv_bias = p.attention.out_bias = c.b("attention_bias", true);
  p.mlp.bias = true;
  if (!c.b("use_parallel_residual", true)) return pre_norm_decoder(root, p);
  auto d = std::make_unique<nn::Decoder>(root, p.decoder);
  for (const Scope& s : layers(root / "model.layers", p.layers))
    d->add<nn::Parallel>(nn::NormLayer(s / "input_layernorm", p.norm), nn::layer<nn::Attention>(s / "self_attn", p.attention),
                         nn::NormLayer(s / "post_attention_layernorm", p.norm), nn::layer<nn::Mlp>(s / "mlp", p.mlp));
  return d;
}

void adjust_gguf(Json& config) {
  config["rope_parameters"] = {{"partial_rotary_factor", config.value("partial_rotary_factor", 1.0)},
                               {"rope_theta", config.value("rope_theta", 10000.0)}};
}

}  // namespace

Family gpt_neox_family() {
  Rules gguf = gguf_fused_qkv();  // the converter reorders them
  gguf += gguf_decoder_rules();
  return {.build = build,
          .rules = {Fused{"gpt_neox.layers.*.attention.query_key_value.*",
                          {"model.layers.*.self_attn.q_proj.*", "model.layers.*.self_attn.k_proj.*", "model.layers.*.self_attn.v_proj.*"},
                          Fused::Order::kPerHead},
                    Rename{"model.embed_tokens.*", "gpt_neox.embed_in.*"},
                    Rename{"model.norm.*", "gpt_neox.final_layer_norm.*"},
                    Rename{"lm_head.*", "embed_out.*"},
                    Rename{"model.layers.*.self_attn.o_proj.*", "gpt_neox.layers.*.attention.dense.*"},
                    Rename{"model.layers.*.mlp.up_proj.*", "gpt_neox.layers.*.mlp.dense_h_to_4h.*"},
                    Rename{"model.layers.*.mlp.down_proj.*", "gpt_neox.layers.*.mlp.dense_4h_to_h.*"},
                    Rename{"model.layers.*.**", "gpt_neox.layers.*.**"},
                    Drop{"gpt_neox.layers.*.attention.bias"},
                    Drop{"gpt_neox.layers.*.attention.masked_bias"},
                    Drop{"gpt_neox.layers.*.attention.rotary_emb.inv_freq"}},
          .gguf = {.rules = gguf,
                   .keys = {{"attention.layer_norm_epsilon", "layer_norm_eps"}, {"use_parallel_residual", "use_parallel_residual"}},
                   .adjust = adjust_gguf},
          .base_prefix = "gpt_neox",
          .config_keys = decoder_keys({"layer_norm_eps", "hidden_act", "attention_bias", "use_parallel_residual", "rotary_pct",
                                       "rotary_emb_base", "partial_rotary_factor"})};
}

}  // namespace transom
