// MPT (MosaicML 2023; transformers modeling_mpt): pre-norm with LayerNorm, ALiBi, no biases anywhere, q, k and v in one tensor and
// perhaps clipped. transformers takes an alibi_bias_max of 8 whatever the config says; the original, which is followed here, reads it.
#include "models/decoder_parts.h"

namespace transom {
namespace {

// Of attn_config: what is supported, and what only says how to compute it.
void set_attention(const Config& c, nn::AttentionSpec& a) {
  a.alibi = std::make_shared<std::vector<float>>(nn::alibi_slopes(a.heads, c.f("alibi_bias_max", 8)));
  a.clip = c.f("clip_qkv", 0);
  a.scale = c.f("softmax_scale", a.scale);
  c.require(c.b("alibi", true), "alibi", "true");
  c.require(!c.b("qk_ln", false), "qk_ln", "false");
  c.require(!c.b("prefix_lm", false), "prefix_lm", "false");
  c.require(!c.b("attn_uses_sequence_id", false), "attn_uses_sequence_id", "false");
  c.require(c.s("attn_type", "multihead_attention") == "multihead_attention", "attn_type", "multihead_attention");
  c.ignore("attn_pdrop");
  c.ignore("attn_impl");
}

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.norm = nn::Norm::kLayer, .eps_key = "layer_norm_epsilon", .eps = 1e-5, .act = "gelu", .gated = false,
                                     .inner_per_hidden = c.size("expansion_ratio", 4), .rotates = false, .tied = true});
  p.norm.bias = p.decoder.norm.bias = false;
  set_attention(c.sub("attn_config").value_or(Config(Json::object(), c.origin())), p.attention);
  c.require(c.b("no_bias", true), "no_bias", "true");
  c.require(!c.has("logit_scale"), "logit_scale", "null");
  for (const char* key : {"logit_scale", "learned_pos_emb", "embedding_fraction", "norm_type", "init_device", "emb_pdrop"}) c.ignore(key);
  return pre_norm_decoder(root, p);
}

void adjust_gguf(Json& config) {
  for (const char* key : {"clip_qkv", "alibi_bias_max"})
    if (const auto it = config.find(key); it != config.end()) {
      config["attn_config"][key] = *it;
      config.erase(key);
    }
}

GgufNames gguf() {
  Rules rules = gguf_fused_qkv();
  rules += gguf_decoder_rules();
  return {.rules = std::move(rules),
          .keys = {{"attention.layer_norm_epsilon", "layer_norm_epsilon"}, {"attention.clamp_kqv", "clip_qkv"},
                   {"attention.max_alibi_bias", "alibi_bias_max"}},
          .adjust = adjust_gguf};
}

}  // namespace

Family mpt_family() {
  return {.build = build,
          .rules = {Fused{"transformer.blocks.*.attn.Wqkv.*",
                          {"model.layers.*.self_attn.q_proj.*", "model.layers.*.self_attn.k_proj.*", "model.layers.*.self_attn.v_proj.*"}},
                    Rename{"model.embed_tokens.*", "transformer.wte.*"},
                    Rename{"model.norm.*", "transformer.norm_f.*"},
                    Rename{"model.layers.*.input_layernorm.*", "transformer.blocks.*.norm_1.*"},
                    Rename{"model.layers.*.post_attention_layernorm.*", "transformer.blocks.*.norm_2.*"},
                    Rename{"model.layers.*.self_attn.o_proj.*", "transformer.blocks.*.attn.out_proj.*"},
                    Rename{"model.layers.*.mlp.**", "transformer.blocks.*.ffn.**"}},
          .gguf = gguf(),
          .base_prefix = "transformer",
          .config_keys = decoder_keys({"layer_norm_epsilon", "attn_config", "expansion_ratio", "no_bias", "logit_scale"}),
          .config_aliases = {{"d_model", "hidden_size"}, {"n_heads", "num_attention_heads"}, {"n_layers", "num_hidden_layers"},
                             {"max_seq_len", "max_position_embeddings"}}};
}

}  // namespace transom
