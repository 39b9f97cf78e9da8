// Qwen1.5/2 MoE (Qwen Team 2024; transformers modeling_qwen2_moe) and Qwen 3 MoE (Yang et al. 2025; modeling_qwen3_moe): the
// dense models' layers, some of them with a mixture of experts; Qwen 2's has a shared expert with a sigmoid gate.
#include "models/moe_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> mixed(const Config& c, const Scope& root, const DecoderParts& p, const AttentionOfLayer& attention,
                                   const nn::MoeSpec& moe) {
  return pre_norm_decoder(root, p, attention, some_sparse(p, moe, sparse_layers(c, p.layers)));
}

nn::MoeSpec experts(const Config& c, const DecoderParts& p) {
  nn::MoeSpec moe = moe_spec(c, p, "moe_intermediate_size");
  moe.routing.normalize = c.b("norm_topk_prob", false);
  return moe;
}

std::unique_ptr<nn::Network> build_qwen2(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c);
  p.attention.qkv_bias = c.b("qkv_bias", true);
  const bool on = c.b("use_sliding_window", false);
  const int64_t until = c.i("max_window_layers", 28);
  nn::AttentionSpec local = p.attention;
  local.mask.window = on ? sliding_window(c, 4096) : 0;
  c.ignore("sliding_window");
  const std::vector<bool> sliding = sliding_layers(c, p.layers, [&](int64_t i) { return on && i % 2 == 0 && i < until; });
  nn::MoeSpec moe = experts(c, p);
  moe.shared = p.mlp;
  moe.shared->inner = c.size("shared_expert_intermediate_size", 5632);
  moe.shared_gate = "shared_expert_gate";
  return mixed(c, root, p, [&](int64_t i) { return sliding[i] ? local : p.attention; }, moe);
}

std::unique_ptr<nn::Network> build_qwen3(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c);
  p.attention.qkv_bias = p.attention.out_bias = c.b("attention_bias", false);
  p.attention.qk_norm = p.norm;
  if (c.b("use_sliding_window", false)) p.attention.mask.window = sliding_window(c, 4096);
  c.ignore("sliding_window");
  c.ignore("max_window_layers");  // every layer sees the window
  return mixed(c, root, p, {}, experts(c, p));
}

}  // namespace

Family qwen2_moe_family() {
  return {.build = build_qwen2,
          .rules = {},
          .gguf = {.rules = gguf_moe_rules(), .keys = gguf_moe_keys()},
          .base_prefix = "model",
          .config_keys = moe_keys({"qkv_bias", "use_sliding_window", "sliding_window", "max_window_layers", "layer_types",
                                   "moe_intermediate_size", "shared_expert_intermediate_size", "norm_topk_prob",
                                   "decoder_sparse_step", "mlp_only_layers"})};
}

Family qwen3_moe_family() {
  // A GGUF file does not say that the weights are normalized; all published models are.
  return {.build = build_qwen3,
          .rules = {},
          .gguf = {.rules = gguf_moe_rules(), .keys = gguf_moe_keys(), .adjust = [](Json& config) { config["norm_topk_prob"] = true; }},
          .base_prefix = "model",
          .config_keys = moe_keys({"attention_bias", "use_sliding_window", "sliding_window", "moe_intermediate_size", "norm_topk_prob",
                                   "decoder_sparse_step", "mlp_only_layers"})};
}

}  // namespace transom
