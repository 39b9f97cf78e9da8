// Falcon (Almazrouei et al. 2023; transformers modeling_falcon) in its three layouts: 7B with one key head and parallel blocks,
// 40B with groups and a norm for each sublayer ("new decoder architecture"), RW with ALiBi and serial blocks. Each key head
// with its queries in turn in one tensor.
#include "models/decoder_parts.h"

namespace transom {
namespace {

// Divided with the score by the root of the head size. transformers also rounds their products with the positions to bfloat16,
// which is an accident of its code and not done here.
std::shared_ptr<const std::vector<float>> slopes(const nn::AttentionSpec& a) {
  std::vector<float> s = nn::alibi_slopes(a.heads);
  for (float& x : s) x *= static_cast<float>(a.scale);
  return std::make_shared<std::vector<float>>(std::move(s));
}

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  const bool alibi = c.b("alibi", false), grouped = c.b("new_decoder_architecture", false), one_key = c.b("multi_query", true);
  DecoderParts p = decoder_parts(c, {.norm = nn::Norm::kLayer, .eps_key = "layer_norm_epsilon", .eps = 1e-5, .act_key = "activation",
                                     .act = "gelu", .gated = false, .inner_per_hidden = 4, .rotates = !alibi, .tied = true});
  if (!grouped) p.attention.kv_heads = one_key ? 1 : p.attention.heads;
  p.attention.qkv_bias = p.attention.out_bias = p.mlp.bias = c.b("bias", false);
  if (alibi) {
    p.attention.alibi = slopes(p.attention);
    for (const char* key : {"rope_theta", "rope_scaling", "rope_parameters"}) c.ignore(key);
  }
  const int64_t norms = c.i("num_ln_in_parallel_attn", grouped ? 2 : 1);
  c.require(norms == 1 || norms == 2, "num_ln_in_parallel_attn", "1 or 2");
  if (!c.b("parallel_attn", true) && !grouped) return pre_norm_decoder(root, p);
  if (!grouped || norms == 1) return parallel_decoder(root, p);
  auto d = std::make_unique<nn::Decoder>(root, p.decoder);
  for (const Scope& s : layers(root / "model.layers", p.layers))
    d->add<nn::Parallel>(nn::NormLayer(s / "ln_attn", p.norm), nn::layer<nn::Attention>(s / "self_attn", p.attention),
                         nn::NormLayer(s / "ln_mlp", p.norm), nn::layer<nn::Mlp>(s / "mlp", p.mlp));
  return d;
}

// By the number of norms and of key heads.
void adjust_gguf(Json& config) {
  const bool two = config.value("two_norms", false);
  config["new_decoder_architecture"] = two || config.value("num_key_value_heads", 1) > 1;
  config["num_ln_in_parallel_attn"] = two ? 2 : 1;
  config.erase("two_norms");
}

GgufNames gguf() {
  Rules rules = gguf_fused_qkv();
  rules += {Rename{"model.layers.*.ln_mlp.*", "blk.*.attn_norm.*"}, Rename{"model.layers.*.ln_attn.*", "blk.*.attn_norm_2.*"}};
  rules += gguf_decoder_rules();
  return {.rules = std::move(rules),
          .keys = {{"attention.layer_norm_epsilon", "layer_norm_epsilon"}, {"tensor_data_layout", ""}},
          .present = {{"blk.0.attn_norm_2.weight", "two_norms"}, {"blk.0.attn_qkv.bias", "bias"}},
          .rows = {{"blk.0.ffn_up.weight", "intermediate_size"}},
          .adjust = adjust_gguf};
}

}  // namespace

Family falcon_family() {
  return {.build = build,
          .rules = {Fused{"transformer.h.*.self_attention.query_key_value.*",
                          {"model.layers.*.self_attn.q_proj.*", "model.layers.*.self_attn.k_proj.*", "model.layers.*.self_attn.v_proj.*"},
                          Fused::Order::kPerHead},
                    Rename{"model.embed_tokens.*", "transformer.word_embeddings.*"},
                    Rename{"model.norm.*", "transformer.ln_f.*"},
                    Rename{"model.layers.*.self_attn.o_proj.*", "transformer.h.*.self_attention.dense.*"},
                    Rename{"model.layers.*.mlp.up_proj.*", "transformer.h.*.mlp.dense_h_to_4h.*"},
                    Rename{"model.layers.*.mlp.down_proj.*", "transformer.h.*.mlp.dense_4h_to_h.*"},
                    Rename{"model.layers.*.**", "transformer.h.*.**"}},
          .gguf = gguf(),
          .base_prefix = "transformer",
          .config_keys = decoder_keys({"layer_norm_epsilon", "activation", "alibi", "new_decoder_architecture", "multi_query", "parallel_attn",
                                       "bias", "num_ln_in_parallel_attn"}),
          .config_aliases = {{"n_embed", "hidden_size"}, {"n_head", "num_attention_heads"}, {"n_layer", "num_hidden_layers"},
                             {"n_head_kv", "num_key_value_heads"}, {"num_kv_heads", "num_key_value_heads"},
                             {"ffn_hidden_size", "intermediate_size"}}};
}

}  // namespace transom
