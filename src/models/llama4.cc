// Llama 4, the text model (Meta 2025; transformers modeling_llama4): Llama's layers with rotation of adjacent pairs, normed q and k and
// attention within chunks; every fourth sees all, without positions, its queries growing with them. Mixtures of experts
// with a shared one, whose input is weighed by the router's sigmoid.
#include <algorithm>

#include "models/moe_parts.h"

namespace transom {
namespace {

nn::MoeSpec experts(const Config& c, const DecoderParts& p) {
  nn::MoeSpec moe = moe_spec(c, p, "intermediate_size");
  c.require(moe.routing.top_k == 1, "num_experts_per_tok", "1");
  moe.routing.scoring = Scoring::kSigmoid;
  moe.weigh_input = true;
  moe.router = "router";
  moe.shared = p.mlp;
  c.ignore("router_jitter_noise");
  c.ignore("interleave_moe_layer_step");
  c.ignore("moe_layers");
  return moe;
}

std::vector<bool> sparse(const Config& c, int64_t layers) {
  const std::vector<double> said = c.floats("moe_layers");
  const int64_t step = c.size("interleave_moe_layer_step", 1);
  std::vector<bool> is(layers);
  for (int64_t i = 0; i < layers; ++i)
    is[i] = c.has("moe_layers") ? std::find(said.begin(), said.end(), static_cast<double>(i)) != said.end() : (i + 1) % step == 0;
  return is;
}

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.eps = 1e-5, .rope_theta = 500000, .head_dim = 128});
  p.attention.rope = interleaved(*p.attention.rope);
  p.attention.qkv_bias = p.attention.out_bias = c.b("attention_bias", false);
  nn::AttentionSpec local = p.attention, full = p.attention;
  // transformers norms after rotating, which is the same: a rotation keeps the length.
  if (c.b("use_qk_norm", true)) local.qk_norm = nn::NormSpec{.size = local.head_dim, .eps = p.norm.eps, .weight = false};
  full.rope = nullptr;
  const auto slope = static_cast<float>(c.f("attn_scale", 0.1)), length = static_cast<float>(c.size("floor_scale", 8192));
  if (c.b("attn_temperature_tuning", true)) full.growth = GrowthRule{.slope = slope, .length = length, .offset = 1, .steps = true};
  const auto chunk = static_cast<int32_t>(c.size("attention_chunk_size", 8192));
  const std::vector<double> said = c.floats("no_rope_layers");  // 1: with positions
  c.require(said.empty() || static_cast<int64_t>(said.size()) == p.layers, "no_rope_layers", "as many as num_hidden_layers");
  const int64_t interval = c.size("no_rope_layer_interval", 4);
  const std::vector<std::string> types = c.strings("layer_types");
  c.require(types.empty() || static_cast<int64_t>(types.size()) == p.layers, "layer_types", "as many as num_hidden_layers");
  for (const std::string& t : types)
    c.require(t == "full_attention" || t == "chunked_attention", "layer_types", "full_attention or chunked_attention");
  const nn::MoeSpec moe = experts(c, p);
  const std::vector<bool> is_sparse = sparse(c, p.layers);
  p.mlp.inner = c.size("intermediate_size_mlp", 16384);
  return pre_norm_decoder(root, p, [&](int64_t i) {
    const bool rotates = said.empty() ? (i + 1) % interval != 0 : said[i] != 0;
    nn::AttentionSpec a = rotates ? local : full;
    if (types.empty() ? rotates : types[i] == "chunked_attention") a.mask.chunk = chunk;
    return a;
  }, [&](const Scope& s, int64_t i) {
    return is_sparse[i] ? nn::layer<nn::Moe>(s / "feed_forward", moe) : nn::layer<nn::Mlp>(s / "feed_forward", p.mlp);
  });
}

Rules rules() {
  const std::string list = "model.layers.*.feed_forward.experts.", expert = list + "*.";
  return {Fused{expert + "gate_up_proj.weight", {expert + "gate_proj.weight", expert + "up_proj.weight"}},
          Stacked{expert + "gate_up_proj.weight", list + "gate_up_proj"},
          Stacked{expert + "down_proj.weight", list + "down_proj"},
          Transposed{list + "gate_up_proj"},
          Transposed{list + "down_proj"},
          Drop{"vision_model.**"},
          Drop{"multi_modal_projector.**"},
          Drop{"model.vision_model.**"},
          Drop{"model.multi_modal_projector.**"}};
}

// The larger of the two published models, known by its experts, norms neither q nor k.
void adjust_gguf(Json& config) { config["use_qk_norm"] = config.value("num_experts", 0) != 128; }

}  // namespace

Family llama4_family() {
  return {.build = build,
          .rules = rules(),
          .gguf = {.rules = gguf_moe_rules("feed_forward", "router"),
                   .keys = {{"expert_count", "num_experts"}, {"expert_used_count", "num_experts_per_tok"},
                            {"feed_forward_length", "intermediate_size_mlp"}, {"expert_feed_forward_length", "intermediate_size"},
                            {"interleave_moe_layer_step", "interleave_moe_layer_step"}},
                   .adjust = adjust_gguf},
          .base_prefix = "language_model",
          .config_keys = moe_keys({"attention_bias", "use_qk_norm", "attn_scale", "floor_scale", "attn_temperature_tuning", "attention_chunk_size",
                                   "no_rope_layers", "no_rope_layer_interval", "layer_types", "intermediate_size_mlp", "moe_layers",
                                   "interleave_moe_layer_step"}),
          .section = "text_config"};
}

}  // namespace transom
