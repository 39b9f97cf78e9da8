// DeepSeek V2 and V2-Lite (DeepSeek-AI 2024; transformers modeling_deepseek_v2), V3 and R1 (2024, 2025; modeling_deepseek_v3), whose
// shape Kimi K2 has too, and V3.2 (2025; modeling_deepseek_v32): latent attention and, after the first layers, mixtures of experts
// with shared ones. V3.2 lets a query see the index_topk tokens that its indexer scores best: in texts of no more than that, all.
#include "models/latent_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build_v2(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.rotates = false});
  const nn::LatentAttentionSpec attention = latent_attention_spec(c, p);
  nn::MoeSpec moe = moe_spec(c, p, "moe_intermediate_size");
  const bool grouped = c.s("topk_method", "greedy") == "group_limited_greedy";
  c.require(grouped || c.s("topk_method", "greedy") == "greedy", "topk_method", "greedy or group_limited_greedy");
  const int64_t groups = c.size("n_group", 1), top_groups = c.size("topk_group", 1);
  if (grouped) moe.routing.groups = groups, moe.routing.top_groups = top_groups;
  require_expert_groups(c, moe);
  moe.routing.scale = static_cast<float>(c.f("routed_scaling_factor", 1));
  c.require(!c.b("norm_topk_prob", false), "norm_topk_prob", "false");
  c.require(c.s("scoring_func", "softmax") == "softmax", "scoring_func", "softmax");
  moe.shared = p.mlp;
  moe.shared->inner = c.size("n_shared_experts", 2) * moe.inner;
  moe.shared_name = "shared_experts";
  for (const char* of_training : {"aux_loss_alpha", "seq_aux", "ep_size"}) c.ignore(of_training);
  p.mlp.bias = moe.shared->bias = c.b("mlp_bias", false);
  return latent_decoder(c, root, p, attention, moe, 0);
}

std::unique_ptr<nn::Network> build_v3(const Config& c, const Scope& root) {
  const DecoderParts p = decoder_parts(c, {.rotates = false});
  const nn::LatentAttentionSpec attention = latent_attention_spec(c, p);
  return latent_decoder(c, root, p, attention, grouped_moe_spec(c, p, {.groups = 8, .top_groups = 4, .scale = 2.5}), 3);
}

std::unique_ptr<nn::Network> build_v32(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.rotates = false});
  const nn::LatentAttentionSpec attention = latent_attention_spec(c, p);
  p.decoder.limits = {.positions = c.size("index_topk", 2048), .positions_of = "index_topk: sparse attention is not there yet"};
  for (const char* of_the_indexer : {"index_head_dim", "index_n_heads"}) c.ignore(of_the_indexer);
  for (const std::string& type : c.strings("layer_types")) c.require(type == "indexed_attention", "layer_types", "indexed_attention in every layer");
  c.require(!c.b("mlp_bias", false), "mlp_bias", "false");
  return latent_decoder(c, root, p, attention, grouped_moe_spec(c, p, {.groups = 8, .top_groups = 4, .scale = 2.5}), 3);
}

// V2's experts are chosen from the best groups where there are several.
void adjust_v2_gguf(Json& config) {
  gguf_latent(config);
  config["topk_method"] = config["n_group"] == 1 ? "greedy" : "group_limited_greedy";
}

Family family_of(std::unique_ptr<nn::Network> (*build)(const Config&, const Scope&), Rules rules = {}) {
  return {.build = build,
          .rules = std::move(rules),
          .config_rules = without_prediction_layers,
          .gguf = latent_gguf(),
          .base_prefix = "model",
          .config_keys = latent_keys({"mlp_bias", "index_topk", "index_head_dim", "index_n_heads", "layer_types"}),
          .config_aliases = {{"n_routed_experts", "num_experts"}}};
}

}  // namespace

Family deepseek_v2_family() {
  Family f = family_of(build_v2);
  f.gguf.adjust = adjust_v2_gguf;
  return f;
}

Family deepseek_v3_family() { return family_of(build_v3); }

Family deepseek_v32_family() {
  Family f = family_of(build_v32, {Drop{"model.layers.*.self_attn.indexer.**"}});
  f.gguf.rules += {Drop{"blk.*.indexer.**"}};
  const GgufNames::Names indexer = {{"attention.indexer.top_k", "index_topk"}, {"attention.indexer.head_count", "index_n_heads"},
                                    {"attention.indexer.key_length", "index_head_dim"}};
  f.gguf.keys.insert(f.gguf.keys.end(), indexer.begin(), indexer.end());
  return f;
}

}  // namespace transom
