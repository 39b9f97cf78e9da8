// generic_decoder: see generic.h.
#include "models/generic.h"

#include "models/moe_parts.h"

namespace transom {
namespace {

DecoderParts parts(const Config& c, const Config& g) {
  const bool layer_norm = g.b("layer_norm");
  const char* eps = c.has("rms_norm_eps") ? "rms_norm_eps" : c.has("layer_norm_eps") ? "layer_norm_eps" : "norm_epsilon";
  c.require(c.has(eps), "rms_norm_eps", "a number (or layer_norm_eps, norm_epsilon)");
  c.require(c.has("hidden_act") || c.has("hidden_activation"), "hidden_act", "a name");
  DecoderParts p = decoder_parts(c, {.norm = layer_norm ? nn::Norm::kLayer : nn::Norm::kRms, .eps_key = eps,
                                     .act_key = c.has("hidden_act") ? "hidden_act" : "hidden_activation", .gated = !g.b("plain", false)});
  p.attention.qkv_bias = g.b("qkv_bias");
  p.attention.out_bias = g.b("out_bias");
  p.mlp.bias = g.b("mlp_bias", false);
  p.decoder.head_bias = g.b("head_bias");
  if (const int64_t size = g.i("qk_norm", 0)) {
    p.attention.qk_norm = p.norm;
    p.attention.qk_norm->bias = false;
    p.attention.qk_norm_whole = size != p.attention.head_dim;
  }
  // The tensors say these.
  for (const char* key : {"attention_bias", "qkv_bias", "mlp_bias", "use_bias", "use_qk_norm"}) c.ignore(key);
  return p;
}

AttentionOfLayer windowed(const Config& c, const DecoderParts& p) {
  nn::AttentionSpec local = p.attention;
  const bool off = !c.b("use_sliding_window", true);
  local.mask.window = off ? 0 : sliding_window(c, 0);
  c.ignore("sliding_window");
  if (off) c.ignore("max_window_layers");
  const std::vector<bool> sliding = sliding_layers(c, p.layers, [&](int64_t) { return local.mask.window > 0; });
  return [=](int64_t i) { return sliding[static_cast<size_t>(i)] ? local : p.attention; };
}

FeedForwardOfLayer experts(const Config& c, const DecoderParts& p, const std::string& name) {
  nn::MoeSpec moe = moe_spec(c, p, c.has("moe_intermediate_size") ? "moe_intermediate_size" : "intermediate_size");
  const std::vector<bool> sparse = sparse_layers(c, p.layers);
  if (name == "mlp") {
    c.require(c.has("norm_topk_prob"), "norm_topk_prob", "true or false");
    moe.routing.normalize = c.b("norm_topk_prob");
  } else {
    moe.gate = "w1", moe.up = "w3", moe.down = "w2";
    moe.routing.normalize = true;
  }
  return [=, mlp = p.mlp](const Scope& s, int64_t i) {
    return sparse[static_cast<size_t>(i)] ? nn::layer<nn::Moe>(s / name, moe) : nn::layer<nn::Mlp>(s / "mlp", mlp);
  };
}

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  const Config g = *c.sub("generic");
  const DecoderParts p = parts(c, g);
  const AttentionOfLayer attention = windowed(c, p);
  const std::string block = g.s("block"), moe = g.s("experts", "");
  c.require(moe.empty() || block == "pre_norm", "generic", "experts in pre-norm blocks only");
  if (block == "sandwich") return sandwich_decoder(root, p, attention);
  if (block == "reordered") return reordered_decoder(root, p, attention);
  return pre_norm_decoder(root, p, attention, moe.empty() ? FeedForwardOfLayer{} : experts(c, p, moe));
}

}  // namespace

std::optional<Family> generic_decoder(Json& config, const ShapeOf& shape_of, std::string& found) {
  std::optional<Json> traits = decoder_traits(shape_of, found);
  if (!traits) return std::nullopt;
  config["generic"] = std::move(*traits);
  Rules rules = {Drop{"model.layers.*.self_attn.rotary_emb.inv_freq"}};
  if (shape_of("model.layers.0.self_attn.qkv_proj.weight"))
    rules += {Fused{"model.layers.*.self_attn.qkv_proj.*",
                    {"model.layers.*.self_attn.q_proj.*", "model.layers.*.self_attn.k_proj.*", "model.layers.*.self_attn.v_proj.*"}}};
  if (shape_of("model.layers.0.mlp.gate_up_proj.weight"))
    rules += {Fused{"model.layers.*.mlp.gate_up_proj.*", {"model.layers.*.mlp.gate_proj.*", "model.layers.*.mlp.up_proj.*"}}};
  return Family{.build = build, .rules = std::move(rules), .gguf = {}, .base_prefix = "model", .config_keys = {}};
}

}  // namespace transom
