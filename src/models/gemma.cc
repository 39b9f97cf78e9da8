// Gemma 1 and 2 (Gemma Team 2024; transformers modeling_gemma, modeling_gemma2): norms of 1 + weight and scaled embeddings;
// Gemma 2 in sandwich-norm blocks, with capped scores and logits and a window in every other layer.
#include <cmath>

#include "models/decoder_parts.h"

namespace transom {
namespace {

void scale_embeddings(DecoderParts& p) {
  p.norm.weight_offset = p.decoder.norm.weight_offset = 1;
  p.decoder.embedding_scale = std::sqrt(static_cast<double>(p.norm.size));
}

std::unique_ptr<nn::Network> build_gemma(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.head_dim = 256, .act = "gelu_pytorch_tanh", .tied = true});
  scale_embeddings(p);
  // transformers 4 wrote hidden_activation beside a hidden_act that it did not use.
  if (c.has("hidden_activation")) p.mlp.act = nn::activation_by_name(c.s("hidden_activation"), c.origin());
  p.attention.qkv_bias = p.attention.out_bias = c.b("attention_bias", false);
  c.require(!c.b("use_bidirectional_attention", false), "use_bidirectional_attention", "false");
  return pre_norm_decoder(root, p);
}

std::unique_ptr<nn::Network> build_gemma2(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.head_dim = 256, .act_key = "hidden_activation", .act = "gelu_pytorch_tanh", .tied = true});
  scale_embeddings(p);
  p.attention.qkv_bias = p.attention.out_bias = c.b("attention_bias", false);
  p.attention.scale = 1 / std::sqrt(c.f("query_pre_attn_scalar", 256));
  p.attention.softcap = c.is_null("attn_logit_softcapping") ? 0 : c.f("attn_logit_softcapping", 50);
  p.decoder.logit_softcap = c.is_null("final_logit_softcapping") ? 0 : c.f("final_logit_softcapping", 30);
  c.require(!c.b("use_bidirectional_attention", false), "use_bidirectional_attention", "false");
  c.ignore("hidden_act");
  nn::AttentionSpec local = p.attention;
  local.mask.window = sliding_window(c, 4096);
  const std::vector<bool> sliding = sliding_layers(c, p.layers, [](int64_t i) { return i % 2 == 0; });
  return sandwich_decoder(root, p, [&](int64_t i) { return sliding[i] ? local : p.attention; });
}

Rules stored_with_one_added(std::initializer_list<const char*> norms) {
  Rules r;
  for (const char* norm : norms) r += {Offset{norm, -1.0}};
  return r;
}

}  // namespace

Family gemma_family() {
  Rules gguf = gguf_decoder_rules();
  gguf += stored_with_one_added({"model.norm.weight", "model.layers.*.input_layernorm.weight", "model.layers.*.post_attention_layernorm.weight"});
  return {.build = build_gemma,
          .rules = {},
          .gguf = {.rules = gguf},
          .base_prefix = "model",
          .config_keys = decoder_keys({"rms_norm_eps", "hidden_act", "hidden_activation", "attention_bias", "use_bidirectional_attention"})};
}

Family gemma2_family() {
  Rules gguf = gguf_sandwich_rules();
  gguf += stored_with_one_added({"model.norm.weight", "model.layers.*.input_layernorm.weight", "model.layers.*.post_attention_layernorm.weight",
                                 "model.layers.*.pre_feedforward_layernorm.weight", "model.layers.*.post_feedforward_layernorm.weight"});
  return {.build = build_gemma2,
          .rules = {},
          .gguf = {.rules = gguf,
                   .keys = {{"attention.key_length", "query_pre_attn_scalar"},
                            {"attention.sliding_window", "sliding_window"},
                            {"final_logit_softcapping", "final_logit_softcapping"},
                            {"attn_logit_softcapping", "attn_logit_softcapping"}}},
          .base_prefix = "model",
          .config_keys = decoder_keys({"rms_norm_eps", "hidden_activation", "attention_bias", "query_pre_attn_scalar", "sliding_window",
                                       "layer_types", "final_logit_softcapping", "attn_logit_softcapping", "use_bidirectional_attention"})};
}

}  // namespace transom
