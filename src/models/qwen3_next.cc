// Qwen3-Next (Qwen Team 2025; transformers modeling_qwen3_next) and the text models of Qwen 3.5 (2026; modeling_qwen3_5,
// modeling_qwen3_5_moe): gated delta nets, every fourth layer attention with a gate, norms of 1 + weight; Qwen3-Next and the
// larger Qwen 3.5 with mixtures of experts.
#include "models/moe_parts.h"
#include "nn/gated_delta.h"

namespace transom {
namespace {

DecoderParts parts(const Config& c) {
  DecoderParts p = decoder_parts(c, {.partial_rotary = 0.25, .head_dim = 256, .inner_per_hidden = 4});
  p.norm.weight_offset = p.decoder.norm.weight_offset = 1;
  p.attention.qk_norm = p.norm;
  p.attention.qkv_bias = p.attention.out_bias = c.b("attention_bias", false);
  p.attention.q = "query_proj";
  p.attention.gate = "gate_proj";
  return p;
}

nn::GatedDeltaSpec delta_spec(const Config& c, const DecoderParts& p) {
  const nn::GatedDeltaSpec d{.hidden = p.norm.size,
                             .key_heads = nn::state_size(c, "linear_num_key_heads", 16), .heads = nn::state_size(c, "linear_num_value_heads", 32),
                             .key_dim = nn::state_size(c, "linear_key_head_dim", 128), .value_dim = nn::state_size(c, "linear_value_head_dim", 128),
                             .conv = nn::state_size(c, "linear_conv_kernel_dim", 4), .act = p.mlp.act, .eps = p.norm.eps,
                             .tiled = c.b("linear_value_heads_tiled", false)};  // as GGUF has them
  c.ignore("num_nextn_predict_layers");  // without_prediction_layers
  c.require(d.heads % d.key_heads == 0, "linear_num_value_heads", "a multiple of linear_num_key_heads");
  return d;
}

std::unique_ptr<nn::Network> hybrid(const Config& c, const Scope& root, const DecoderParts& p, const FeedForwardOfLayer& feed_forward) {
  const nn::GatedDeltaSpec delta = delta_spec(c, p);
  const int64_t interval = c.size("full_attention_interval", 4);
  const std::vector<bool> linear = layers_of_type(c, p.layers, "linear_attention", "full_attention", [=](int64_t i) { return (i + 1) % interval != 0; });
  const auto mixer = [&](const Scope& s, int64_t i) {
    return linear[i] ? nn::layer<nn::GatedDelta>(s / "linear_attn", delta) : nn::layer<nn::Attention>(s / "self_attn", p.attention);
  };
  return mixed_decoder(root, p, mixer, feed_forward);
}

nn::MoeSpec experts(const Config& c, const DecoderParts& p) {
  nn::MoeSpec moe = moe_spec(c, p, "moe_intermediate_size");
  moe.shared = p.mlp;
  moe.shared->inner = c.size("shared_expert_intermediate_size", 512);
  moe.shared_gate = "shared_expert_gate";
  return moe;
}

std::unique_ptr<nn::Network> build_next(const Config& c, const Scope& root) {
  const DecoderParts p = parts(c);
  nn::MoeSpec moe = experts(c, p);
  moe.routing.normalize = c.b("norm_topk_prob", true);
  const std::vector<bool> sparse = sparse_layers(c, p.layers);
  return hybrid(c, root, p, [&](const Scope& s, int64_t i) {
    return sparse[i] ? nn::layer<nn::Moe>(s / "mlp", moe) : nn::layer<nn::Mlp>(s / "mlp", p.mlp);
  });
}

std::unique_ptr<nn::Network> build_dense(const Config& c, const Scope& root) { return hybrid(c, root, parts(c), {}); }

std::unique_ptr<nn::Network> build_moe(const Config& c, const Scope& root) {
  const DecoderParts p = parts(c);
  nn::MoeSpec moe = experts(c, p);
  moe.routing.normalize = true;
  return hybrid(c, root, p, [&](const Scope& s, int64_t) { return nn::layer<nn::Moe>(s / "mlp", moe); });
}

constexpr auto kPerHead = Fused::Order::kPerHead;

// Query and gate are stored head by head in one.
Rules gate_rules() {
  const std::string attention = "model.layers.*.self_attn.";
  return {Fused{attention + "q_proj.*", {attention + "query_proj.*", attention + "gate_proj.*"}, kPerHead}, Drop{"mtp.**"}};
}

Rules delta_rules(const char* tensor, const std::vector<std::string>& parts, Fused::Order order) {
  const std::string scope = "model.layers.*.linear_attn.";
  Fused f{scope + tensor + ".weight", {}, order};
  for (const std::string& part : parts) f.params.push_back(scope + part + ".weight");
  return {f};
}

std::vector<std::string_view> keys() {
  return moe_keys({"attention_bias", "layer_types", "linear_conv_kernel_dim", "linear_key_head_dim", "linear_value_head_dim",
                   "linear_num_key_heads", "linear_num_value_heads", "moe_intermediate_size", "shared_expert_intermediate_size",
                   "norm_topk_prob", "decoder_sparse_step", "mlp_only_layers"});
}

Family qwen3_5(std::unique_ptr<nn::Network> (*build)(const Config&, const Scope&)) {
  Rules rules = gate_rules();
  rules += delta_rules("in_proj_qkv", {"in_proj_q", "in_proj_k", "in_proj_v"}, Fused::Order::kStacked);
  return {.build = build, .rules = rules, .config_rules = without_prediction_layers, .gguf = gguf_gated_delta(false),
          .base_prefix = "model", .config_keys = keys()};
}

}  // namespace

Family qwen3_next_family() {
  Rules rules = gate_rules();
  rules += delta_rules("in_proj_qkvz", {"in_proj_q", "in_proj_k", "in_proj_v", "in_proj_z"}, kPerHead);
  rules += delta_rules("in_proj_ba", {"in_proj_b", "in_proj_a"}, kPerHead);
  return {.build = build_next, .rules = rules, .config_rules = without_prediction_layers, .gguf = gguf_gated_delta(true),
          .base_prefix = "model", .config_keys = keys()};
}

Family qwen3_5_family() { return qwen3_5(build_dense); }
Family qwen3_5_moe_family() { return qwen3_5(build_moe); }

}  // namespace transom
