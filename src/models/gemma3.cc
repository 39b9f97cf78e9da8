// Gemma 3 text (Gemma Team 2025; transformers modeling_gemma3): sandwich-norm decoder, norms of 1 + weight, scaled
// embeddings, qk-norm, and sliding-window layers with their own rotary base between full ones.
#include <algorithm>
#include <cmath>

#include "models/family.h"
#include "nn/attention.h"
#include "nn/mlp.h"

namespace transom {
namespace {

// Which layers see the whole context: `layer_types`, or each sliding_window_pattern-th layer.
std::vector<bool> full_layers(const Config& c) {
  const int64_t n = c.size("num_hidden_layers");
  const int64_t pattern = c.size("sliding_window_pattern", c.size("_sliding_window_pattern", 6));
  const std::vector<std::string> types = c.strings("layer_types");
  c.require(types.empty() || static_cast<int64_t>(types.size()) == n, "layer_types", "as many as num_hidden_layers");
  std::vector<bool> full;
  for (int64_t i = 0; i < n; ++i) full.push_back(types.empty() ? (i + 1) % pattern == 0 : types[i] == "full_attention");
  return full;
}

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  const int64_t hidden = c.size("hidden_size"), heads = c.size("num_attention_heads"), head_dim = c.size("head_dim", 256);
  nn::require_groups(c, heads, c.size("num_key_value_heads", heads));
  const double eps = c.f("rms_norm_eps", 1e-6);
  const nn::NormSpec norm{.size = hidden, .eps = eps, .weight_offset = 1};
  const bool bias = c.b("attention_bias", false);
  nn::AttentionSpec full{.hidden = hidden, .heads = heads, .kv_heads = c.size("num_key_value_heads", heads), .head_dim = head_dim,
                         .scale = 1 / std::sqrt(c.f("query_pre_attn_scalar", 256)),
                         .rope = std::make_shared<nn::RopeSpec>(nn::rope_from_config(c, head_dim, 1e6, "full_attention")),
                         .qk_norm = nn::NormSpec{.size = head_dim, .eps = eps, .weight_offset = 1},
                         .qkv_bias = bias, .out_bias = bias};
  c.ignore("attn_logit_softcapping");  // transformers' Gemma 3 never passes it to attention
  nn::AttentionSpec sliding = full;
  sliding.mask.window = static_cast<int32_t>(c.size("sliding_window", 4096));
  const double local_theta = c.f("rope_local_base_freq", 10000);
  sliding.rope = std::make_shared<nn::RopeSpec>(c.has("rope_parameters")
                                                    ? nn::rope_from_config(c, head_dim, local_theta, "sliding_attention")
                                                    : nn::plain_rope(head_dim, local_theta));
  const nn::MlpSpec mlp{.hidden = hidden, .inner = c.size("intermediate_size"),
                        .act = nn::activation_by_name(c.s("hidden_activation", "gelu_pytorch_tanh"), c.origin())};
  auto d = std::make_unique<nn::Decoder>(
      root, nn::DecoderSpec{.vocab = c.size("vocab_size"), .norm = norm, .tied = c.b("tie_word_embeddings", true),
                            .padding_id = padding_id(c),
                            .embedding_scale = std::sqrt(static_cast<double>(hidden)),
                            .logit_softcap = c.f("final_logit_softcapping", 0)});
  c.require(!c.b("use_bidirectional_attention", false), "use_bidirectional_attention", "false");
  const std::vector<bool> is_full = full_layers(c);
  const std::vector<Scope> scopes = layers(root / "model.layers", static_cast<int64_t>(is_full.size()));
  for (size_t i = 0; i < scopes.size(); ++i) {
    const Scope& s = scopes[i];
    d->add<nn::Sandwich>(nn::NormLayer(s / "input_layernorm", norm),
                         nn::layer<nn::Attention>(s / "self_attn", is_full[i] ? full : sliding),
                         nn::NormLayer(s / "post_attention_layernorm", norm),
                         nn::NormLayer(s / "pre_feedforward_layernorm", norm), nn::layer<nn::Mlp>(s / "mlp", mlp),
                         nn::NormLayer(s / "post_feedforward_layernorm", norm));
  }
  return d;
}

// The 27B model divides scores by hidden / heads, the others by the head size. A GGUF file does not say; llama.cpp, too, knows
// the model by its number of layers.
void adjust_gguf(Json& config) {
  if (config.value("num_hidden_layers", 0) == 62)
    config["query_pre_attn_scalar"] = config.value("hidden_size", 0) / std::max(config.value("num_attention_heads", 1), 1);
}

}  // namespace

Family gemma3_family() {
  Rules gguf = {Rename{"model.layers.*.post_attention_layernorm.*", "blk.*.post_attention_norm.*"},
                Rename{"model.layers.*.pre_feedforward_layernorm.*", "blk.*.ffn_norm.*"},
                Rename{"model.layers.*.post_feedforward_layernorm.*", "blk.*.post_ffw_norm.*"}};
  gguf += gguf_decoder_rules();
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
          .config_keys = {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
                          "num_key_value_heads", "head_dim", "hidden_activation", "max_position_embeddings", "rms_norm_eps",
                          "tie_word_embeddings", "rope_theta", "rope_scaling", "rope_parameters", "rope_local_base_freq",
                          "attention_bias", "query_pre_attn_scalar", "sliding_window", "sliding_window_pattern", "layer_types",
                          "final_logit_softcapping", "attn_logit_softcapping", "use_bidirectional_attention"}};
}

}  // namespace transom
