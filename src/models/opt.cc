// OPT (Zhang et al. 2022; transformers modeling_opt): LayerNorm before the sublayers, or after them (350M), learned positions
// of which the first two are never a token's, embeddings perhaps narrower than the layers.
#include "models/decoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.norm = nn::Norm::kLayer, .eps_key = "layer_norm_eps", .eps = 1e-5, .act_key = "activation_function",
                                     .act = "relu", .gated = false, .rotates = false, .tied = true});
  const bool before = c.b("do_layer_norm_before", true), removed = c.b("_remove_final_layer_norm", false);
  p.norm.weight = p.norm.bias = c.b("layer_norm_elementwise_affine", true);
  p.attention.qkv_bias = p.attention.out_bias = p.mlp.bias = c.b("enable_bias", true);
  p.decoder.norm = p.norm;
  p.decoder.final_norm = before && !removed;
  p.decoder.embedding = c.size("word_embed_proj_dim", p.norm.size);
  p.decoder.position_offset = 2;
  p.decoder.positions = c.size("max_position_embeddings", 2048) + p.decoder.position_offset;
  c.ignore("layerdrop");
  if (before) return pre_norm_decoder(root, p);
  auto d = std::make_unique<nn::Decoder>(root, p.decoder);
  for (const Scope& s : layers(root / "model.layers", p.layers))
    d->add<nn::PostNorm>(nn::layer<nn::Attention>(s / "self_attn", p.attention), nn::NormLayer(s / "input_layernorm", p.norm),
                         nn::layer<nn::Mlp>(s / "mlp", p.mlp), nn::NormLayer(s / "post_attention_layernorm", p.norm));
  return d;
}

}  // namespace

Family opt_family() {
  return {.build = build,
          .rules = {Rename{"model.norm.*", "model.decoder.final_layer_norm.*"},
                    Rename{"model.layers.*.input_layernorm.*", "model.decoder.layers.*.self_attn_layer_norm.*"},
                    Rename{"model.layers.*.post_attention_layernorm.*", "model.decoder.layers.*.final_layer_norm.*"},
                    Rename{"model.layers.*.self_attn.o_proj.*", "model.decoder.layers.*.self_attn.out_proj.*"},
                    Rename{"model.layers.*.mlp.up_proj.*", "model.decoder.layers.*.fc1.*"},
                    Rename{"model.layers.*.mlp.down_proj.*", "model.decoder.layers.*.fc2.*"},
                    Rename{"model.**", "model.decoder.**"}},
          .gguf = {},
          .base_prefix = "model",
          .config_keys = decoder_keys({"activation_function", "do_layer_norm_before", "layer_norm_elementwise_affine", "enable_bias",
                                       "_remove_final_layer_norm", "word_embed_proj_dim"}),
          .config_aliases = {{"ffn_dim", "intermediate_size"}}};
}

}  // namespace transom
