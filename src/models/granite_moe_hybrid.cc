// Granite 4 (IBM 2025; transformers modeling_granitemoehybrid): Granite's layers, most of them with Mamba 2 instead of
// attention, attention without positions, and a shared expert beside the mixture, or alone.
#include "models/mamba_parts.h"
#include "models/moe_parts.h"

namespace transom {
namespace {

std::vector<bool> mamba_layers(const Config& c, int64_t layers) {
  // transformers 4 and 5 name the two types differently.
  const std::vector<std::string> types = c.strings("layer_types");
  const bool old = !types.empty() && (types[0] == "mamba" || types[0] == "attention");
  return layers_of_type(c, layers, old ? "mamba" : "linear_attention", old ? "attention" : "full_attention", [](int64_t) { return true; });
}

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = granite_parts(c);
  if (c.s("position_embedding_type", "nope") != "rope") p.attention.rope = nullptr;
  const nn::Mamba2Spec m = hybrid_mamba2(c, p);
  nn::MlpSpec shared = p.mlp;
  shared.inner = c.size("shared_intermediate_size", 1024);
  nn::MoeSpec moe;
  const bool sparse = c.i("num_local_experts", 8) > 0;
  if (sparse) moe = moe_spec(c, p);
  else c.ignore("num_experts_per_tok");
  moe.routing.normalize = true;  // a softmax over the chosen logits
  moe.router = "router.layer";
  moe.shared = shared;
  const std::vector<bool> recurrent = mamba_layers(c, p.layers);
  const auto mixer = [&](const Scope& s, int64_t i) {
    return recurrent[i] ? nn::layer<nn::Mamba2>(s / "mamba", m) : nn::layer<nn::Attention>(s / "self_attn", p.attention);
  };
  return mixed_decoder(root, p, mixer, [&](const Scope& s, int64_t) {
    return sparse ? nn::layer<nn::Moe>(s / "block_sparse_moe", moe) : nn::layer<nn::Mlp>(s / "mlp", shared);
  });
}

// Which layers attend, by their kv heads; whether these rotate, by a key of another name.
void adjust_gguf(Json& config) {
  gguf_layer_types(config, "full_attention", "linear_attention");
  config["position_embedding_type"] = config.value("rotates", false) ? "rope" : "nope";
  if (config["position_embedding_type"] == "rope") gguf_rows_in_pairs(config);
  config.erase("rotates");
}

GgufNames gguf() {
  Rules rules = gguf_mamba_rules("mamba");
  rules += gguf_moe_rules("block_sparse_moe", "router.layer");
  GgufNames names = granite_gguf(std::move(rules));
  for (const auto& key : gguf_hybrid_mamba2_keys({{"expert_count", "num_local_experts"}, {"expert_used_count", "num_experts_per_tok"},
                                                  {"expert_shared_feed_forward_length", "shared_intermediate_size"},
                                                  {"rope.scaling.finetuned", "rotates"}}))
    names.keys.push_back(key);
  names.present = {};
  names.adjust = adjust_gguf;
  return names;
}

}  // namespace

Family granite_moe_hybrid_family() {
  const std::string layer = "model.layers.*.", moe = layer + "block_sparse_moe.", shared = moe + "shared_expert.";
  Rules rules = granite_moe_rules();
  for (const std::string& scope : {shared, layer + "mlp."})
    rules += {Fused{layer + "shared_mlp.input_linear.weight", {scope + "gate_proj.weight", scope + "up_proj.weight"}},
              Rename{scope + "down_proj.weight", layer + "shared_mlp.output_linear.weight"}};
  return {.build = build,
          .rules = rules,
          .gguf = gguf(),
          .base_prefix = "model",
          .config_keys = hybrid_mamba2_keys({"num_local_experts", "num_experts_per_tok", "embedding_multiplier", "logits_scaling",
                                             "residual_multiplier", "attention_multiplier", "shared_intermediate_size", "layer_types",
                                             "position_embedding_type"}),
          .config_aliases = {{"layers_block_type", "layer_types"}}};
}

}  // namespace transom
