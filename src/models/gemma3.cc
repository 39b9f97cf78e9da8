// Gemma 3 text (Gemma Team 2025; transformers modeling_gemma3): sandwich-norm decoder, norms of 1 + weight, scaled
// embeddings, qk-norm, and sliding-window layers with their own rotary base between full ones.
#include <algorithm>
#include <cmath>

#include "models/decoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.rope_theta = 1e6, .rope_layers = "full_attention", .head_dim = 256,
                                     .act_key = "hidden_activation", .act = "gelu_pytorch_tanh", .tied = true});
  p.norm.weight_offset = p.decoder.norm.weight_offset = 1;
  p.decoder.embedding_scale = std::sqrt(static_cast<double>(p.norm.size));
  p.decoder.logit_softcap = c.f("final_logit_softcapping", 0);
  p.attention.scale = 1 / std::sqrt(c.f("query_pre_attn_scalar", 256));
  p.attention.qk_norm = p.norm;
  p.attention.qkv_bias = p.attention.out_bias = c.b("attention_bias", false);
  c.ignore("attn_logit_softcapping");  // transformers' Gemma 3 never passes it to attention
  c.require(!c.b("use_bidirectional_attention", false), "use_bidirectional_attention", "false");
  nn::AttentionSpec local = p.attention;
  local.mask.window = sliding_window(c, 4096);
  local.rope = local_rope(c, local.head_dim, c.f("rope_local_base_freq", 10000));
  const int64_t pattern = c.size("sliding_window_pattern", c.size("_sliding_window_pattern", 6));
  const std::vector<bool> sliding = sliding_layers(c, p.layers, [&](int64_t i) { return (i + 1) % pattern != 0; });
  return sandwich_decoder(root, p, [&](int64_t i) { return sliding[i] ? local : p.attention; });
}

// The 27B model divides scores by hidden / heads, the others by the head size. A GGUF file does not say; llama.cpp, too, knows
// the model by its number of layers.
void adjust_gguf(Json& config) {
  if (config.value("num_hidden_layers", 0) == 62)
    config["query_pre_attn_scalar"] = config.value("hidden_size", 0) / std::max(config.value("num_attention_heads", 1), 1);
}

}  // namespace

Family gemma3_family() {
  Rules gguf = gguf_sandwich_rules();
  for (const char* norm : {"model.norm.weight", "model.layers.*.input_layernorm.weight", "model.layers.*.self_attn.q_norm.weight",
                           "model.layers.*.self_attn.k_norm.weight", "model.layers.*.post_attention_layernorm.weight",
                           "model.layers.*.pre_feedforward_layernorm.weight", "model.layers.*.post_feedforward_layernorm.weight"})
    gguf += {Offset{norm, -1.0}};
  return {.build = build,
          .rules = {},
          .gguf = {.rules = gguf,
                   .keys = {{"attention.key_length", "query_pre_attn_scalar"},
                            {"attention.sliding_window", "sliding_window"},
                            {"rope.freq_base_swa", "rope_local_base_freq"},
                            {"final_logit_softcapping", "final_logit_softcapping"},
                            {"attn_logit_softcapping", "attn_logit_softcapping"}},
                   .adjust = adjust_gguf},
          .base_prefix = "model",
          .config_keys = decoder_keys({"hidden_activation", "rms_norm_eps", "rope_local_base_freq", "attention_bias", "query_pre_attn_scalar",
                                       "sliding_window", "sliding_window_pattern", "layer_types", "final_logit_softcapping",
                                       "attn_logit_softcapping", "use_bidirectional_attention"})};
}

}  // namespace transom
