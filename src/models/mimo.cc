// MiMo (Xiaomi 2025): Qwen 2 with layers that predict further tokens, which the decoder does not need. MiMo-V2 (2026; transformers
// modeling_mimo_v2_flash): windows in most layers, which have kv heads, a rotation and sinks of their own; values smaller than keys.
#include <algorithm>
#include <cmath>

#include "models/moe_parts.h"

namespace transom {
namespace {

// 1 in a list stands for a windowed (or a sparse) layer.
std::vector<bool> pattern(const Config& c, const char* key, int64_t layers) {
  std::vector<bool> is;
  for (const double x : c.floats(key)) is.push_back(x != 0);
  c.require(is.empty() || static_cast<int64_t>(is.size()) == layers, key, "as many as num_hidden_layers");
  return is;
}

// sliding_window_size tokens beside the query's own, or sliding_window in all.
int32_t window(const Config& c) {
  const int64_t keys = c.has("sliding_window_size") ? c.size("sliding_window_size") + 1 : c.size("sliding_window", 129);
  c.ignore("sliding_window");
  return static_cast<int32_t>(std::min<int64_t>(keys, INT32_MAX));
}

// The attention of windowed layers, with the names that published configs give its sizes.
nn::AttentionSpec windowed(const Config& c, nn::AttentionSpec a) {
  a.heads = c.size("swa_num_attention_heads", a.heads);
  a.kv_heads = c.size("swa_num_key_value_heads", 2 * a.kv_heads);
  a.head_dim = c.size("swa_head_dim", a.head_dim);
  a.value_dim = c.size("swa_v_head_dim", a.value_dim);
  c.require(a.heads % a.kv_heads == 0, "swa_num_key_value_heads", "a divisor of the number of heads");
  a.scale = 1 / std::sqrt(static_cast<double>(a.head_dim));
  const double theta = c.f("swa_rope_theta", 10000);
  nn::RopeSpec rope;
  if (c.has("rope_parameters")) {
    rope = nn::rope_from_config(c, a.head_dim, theta, "sliding_attention", 0.334);
  } else {
    const double partial = c.f("partial_rotary_factor", 0.334);
    c.require(partial > 0 && partial <= 1, "partial_rotary_factor", "a number above 0 and up to 1");
    rope = nn::plain_rope(static_cast<int64_t>(static_cast<double>(a.head_dim) * partial), theta);
  }
  a.rope = std::make_shared<nn::RopeSpec>(std::move(rope));
  a.mask.window = window(c);
  return a;
}

std::unique_ptr<nn::Network> build_v2(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.eps = 1e-5, .rope_theta = 5e6, .partial_rotary = 0.334, .rope_layers = "full_attention", .head_dim = 192});
  p.attention.value_dim = c.size("v_head_dim", 128);
  p.attention.value_scale = c.is_null("attention_value_scale") ? 1 : c.f("attention_value_scale", 0.707);
  c.ignore("attention_value_scale");
  p.attention.qkv_bias = c.b("attention_bias", false);
  const nn::AttentionSpec local = windowed(c, p.attention);
  const std::vector<bool> hybrid = pattern(c, "hybrid_layer_pattern", p.layers), freq = pattern(c, "moe_layer_freq", p.layers);
  const std::vector<bool> sliding =
      sliding_layers(c, p.layers, [&](int64_t i) { return hybrid.empty() ? i != 0 && (i + 1) % 6 != 0 : static_cast<bool>(hybrid[i]); });
  const bool full_sinks = c.b("add_full_attention_sink_bias", false), local_sinks = c.b("add_swa_attention_sink_bias", false);
  const std::vector<double> with_sinks = c.floats("attention_sink_layers");  // which the checkpoint's tensors say
  const nn::MoeSpec moe = grouped_moe_spec(c, p, {.shared = 0});
  for (const char* key : {"attention_chunk_size", "hybrid_block_size", "num_nextn_predict_layers"}) c.ignore(key);
  const std::vector<bool> sparse = sparse_layers_after(c, p.layers, 1);
  return pre_norm_decoder(root, p, [&](int64_t i) {
    nn::AttentionSpec a = sliding[i] ? local : p.attention;
    a.sinks = (sliding[i] ? local_sinks : full_sinks) || std::find(with_sinks.begin(), with_sinks.end(), i) != with_sinks.end();
    return a;
  }, some_sparse(p, moe, freq.empty() ? sparse : freq));
}

std::unique_ptr<nn::Network> build_v1(const Config& c, const Scope& root) {
  c.require(c.b("attention_bias", true), "attention_bias", "true");
  c.ignore("num_nextn_predict_layers");  // without_mtp_layers
  return qwen2_family().build(c, root);
}

Rules without_mtp_layers(const Config& c) {
  const int64_t count = c.i("num_nextn_predict_layers", 0);
  c.require(count <= 64, "num_nextn_predict_layers", "at most 64");
  Rules rules;
  for (int64_t i = 0; i < count; ++i) rules += {Drop{"model.mtp_layers." + std::to_string(i) + ".**"}};
  return rules;
}

}  // namespace

Family mimo_family() {
  Family f = qwen2_family();
  f.build = build_v1;
  f.config_rules = without_mtp_layers;
  return f;
}

Family mimo_v2_family() {
  return {.build = build_v2,
          .rules = {Rename{"model.layers.*.self_attn.sinks", "model.layers.*.self_attn.attention_sink_bias"}, Drop{"model.mtp.**"}},
          .config_rules = without_prediction_layers,
          .gguf = mimo_v2_gguf(),
          .base_prefix = "model",
          .config_keys = grouped_moe_keys({"v_head_dim", "attention_value_scale", "attention_bias", "hybrid_layer_pattern", "moe_layer_freq",
                                           "layer_types", "sliding_window", "sliding_window_size", "swa_num_attention_heads", "swa_rope_theta",
                                           "swa_num_key_value_heads", "swa_head_dim", "swa_v_head_dim", "add_full_attention_sink_bias",
                                           "add_swa_attention_sink_bias", "partial_rotary_factor"}),
          .config_aliases = {{"n_routed_experts", "num_experts"}, {"layernorm_epsilon", "rms_norm_eps"}},
          .section = "text_config"};
}

}  // namespace transom
