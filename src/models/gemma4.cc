// Gemma 4, the text models (Google 2026; transformers modeling_gemma4): Gemma 3's sandwich blocks with a scalar each, unscaled
// attention of normed q, k and v, full layers with larger heads, the last layers with the keys and values of earlier ones, and
// perhaps inputs of single layers.
#include <algorithm>
#include <cmath>

#include "models/gemma4_block.h"
#include "models/gemma_parts.h"

namespace transom {
namespace {

// The attention of the windowed layers and of the others.
struct Kinds {
  nn::AttentionSpec local, full;
  std::vector<bool> sliding;
};

Kinds kinds(const Config& c, const DecoderParts& p) {
  Kinds k{.local = p.attention, .full = p.attention, .sliding = sliding_layers(c, p.layers, [](int64_t i) { return (i + 1) % 6 != 0; })};
  k.sliding.back() = false;
  k.local.mask.window = sliding_window(c, 512);
  k.full.head_dim = c.size("global_head_dim", 512);
  const bool keys = c.b("attention_k_eq_v", false);
  const int64_t kv_heads = c.size("num_global_key_value_heads", p.attention.kv_heads);
  if (keys) k.full.v = "", k.full.kv_heads = kv_heads;
  nn::require_groups(c, k.full.heads, k.full.kv_heads);
  c.require(c.has("rope_parameters"), "rope_parameters", "an object");
  for (auto [a, kind] : {std::pair{&k.local, "sliding_attention"}, std::pair{&k.full, "full_attention"}}) {
    a->qk_norm = nn::NormSpec{.size = a->head_dim, .eps = p.norm.eps};
    a->v_norm = nn::NormSpec{.size = a->head_dim, .eps = p.norm.eps, .weight = false};
    a->rope = std::make_shared<nn::RopeSpec>(nn::rope_from_config(c, a->head_dim, 10000, kind));
  }
  return k;
}

// Weights of the chosen experts sum to 1 and are then scaled; the router reads what the block does, normed by itself.
std::optional<nn::MoeSpec> experts(const Config& c, const DecoderParts& p) {
  if (!c.b("enable_moe_block", false)) return std::nullopt;
  nn::MoeSpec moe{.hidden = p.norm.size, .inner = c.size("moe_intermediate_size"), .experts = c.size("num_experts"),
                  .routing = {.top_k = c.size("top_k_experts"), .normalize = true}, .act = p.mlp.act, .router_norm = p.norm,
                  .expert_norm = p.norm, .router_scale = 1 / std::sqrt(static_cast<double>(p.norm.size)), .expert_scale = true};
  nn::require_experts(c, moe, "num_experts", "top_k_experts");
  moe.router = "router.proj", moe.router_norm_name = "router", moe.expert_norm_name = "pre_feedforward_layernorm_2";
  return moe;
}

DecoderParts parts(const Config& c) {
  DecoderParts p = decoder_parts(c, {.head_dim = 256, .act_key = "hidden_activation", .act = "gelu_pytorch_tanh", .rotates = false, .tied = true});
  p.attention.scale = 1;
  p.attention.qkv_bias = p.attention.out_bias = c.b("attention_bias", false);
  p.decoder.embedding_scale = std::sqrt(static_cast<double>(p.norm.size));
  p.decoder.logit_softcap = c.f("final_logit_softcapping", 0);
  c.require(c.s("use_bidirectional_attention", "vision") == "vision", "use_bidirectional_attention", "null or vision");
  for (const char* key : {"num_experts", "top_k_experts", "moe_intermediate_size"}) c.ignore(key);
  if (const int64_t size = c.i("hidden_size_per_layer_input", 256); size > 0)
    p.decoder.per_layer = nn::PerLayerSpec{.layers = p.layers, .size = size, .vocab = c.size("vocab_size_per_layer_input", 262144),
                                           .norm = {.size = size, .eps = p.norm.eps}, .act = p.mlp.act};
  else c.ignore("vocab_size_per_layer_input");
  return p;
}

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  const DecoderParts p = parts(c);
  const Kinds k = kinds(c, p);
  const std::optional<nn::MoeSpec> moe = experts(c, p);
  SharedKeys keys(c, p.layers, 0);
  nn::MlpSpec wide = p.mlp;
  if (c.b("use_double_wide_mlp", false)) wide.inner *= 2;
  auto d = std::make_unique<nn::Decoder>(root, p.decoder);
  int64_t i = 0;
  for (const Scope& s : layers(root / "model.layers", p.layers)) {
    nn::LayerPtr attention = keys.attention(s / "self_attn", k.sliding[i] ? k.local : k.full, i, k.sliding[i]);
    std::optional<nn::PerLayerGate> gate;
    if (p.decoder.per_layer) gate.emplace(s, *p.decoder.per_layer, p.norm, i);
    d->add<Gemma4Block>(s, p.norm, std::move(attention), keys.shares(i) ? wide : p.mlp, moe, gate);
    ++i;
  }
  return d;
}

// transformers 5 says of each full layer what the first checkpoints say of all of them.
void adjust(Json& config) {
  const auto said = config.find("per_layer_config");
  if (said == config.end() || !said->is_object() || said->empty()) return;
  const Json first = *said->begin();
  if (!first.is_object() || !std::all_of(said->begin(), said->end(), [&](const Json& j) { return j == first; })) return;
  if (first.contains("head_dim")) config["global_head_dim"] = first["head_dim"];
  if (first.contains("num_key_value_heads")) config["num_global_key_value_heads"] = first["num_key_value_heads"];
  config.erase("per_layer_config");
}

Rules rules() {
  const std::string list = "model.layers.*.experts.", expert = list + "*.";
  Rules r = {Rename{"model.layers.*.router.weight", "model.layers.*.router.scale"},
             Rename{"model.layers.*.router.proj.per_expert_scale", "model.layers.*.router.per_expert_scale"},
             Fused{expert + "gate_up_proj.weight", {expert + "gate_proj.weight", expert + "up_proj.weight"}},
             Stacked{expert + "gate_up_proj.weight", list + "gate_up_proj"},
             Stacked{expert + "down_proj.weight", list + "down_proj"}};
  return r += gemma_rules();
}

}  // namespace

Family gemma4_family() {
  return {.build = build,
          .rules = rules(),
          .gguf = gemma4_gguf(),
          .base_prefix = "language_model",
          .config_keys = decoder_keys({"rms_norm_eps", "hidden_activation", "attention_bias", "sliding_window", "layer_types", "per_layer_config",
                                       "final_logit_softcapping", "use_bidirectional_attention", "vocab_size_per_layer_input",
                                       "hidden_size_per_layer_input", "attention_k_eq_v", "num_kv_shared_layers", "enable_moe_block",
                                       "use_double_wide_mlp", "num_experts", "global_head_dim", "num_global_key_value_heads"}),
          .section = "text_config",
          .adjust = adjust};
}

}  // namespace transom
