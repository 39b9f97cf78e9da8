// moe_spec and the rest: see moe_parts.h.
#include "models/moe_parts.h"

#include <algorithm>

namespace transom {

nn::MoeSpec moe_spec(const Config& c, const DecoderParts& p, const char* inner_key) {
  const char* experts = c.has("num_local_experts") ? "num_local_experts" : "num_experts";
  const nn::MoeSpec m{.hidden = p.norm.size, .inner = c.size(inner_key), .experts = c.size(experts),
                      .routing = {.top_k = c.size("num_experts_per_tok")}, .act = p.mlp.act};
  nn::require_experts(c, m, experts, "num_experts_per_tok");
  return m;
}

void require_expert_groups(const Config& c, const nn::MoeSpec& m) {
  const RoutingRule& r = m.routing;
  c.require(m.experts % r.groups == 0 && m.experts / r.groups >= (r.groups > 1 ? r.group_best : 1), "n_group",
            "a number that divides the experts into groups of at least two");
  c.require(r.top_groups <= r.groups && r.top_k <= m.experts / r.groups * r.top_groups, "topk_group",
            "at most n_group, and as many as hold num_experts_per_tok experts");
}

nn::MoeSpec grouped_moe_spec(const Config& c, const DecoderParts& p, const GroupedDefaults& d) {
  nn::MoeSpec m = moe_spec(c, p, "moe_intermediate_size");
  m.routing.scoring = Scoring::kSigmoid;
  m.routing.normalize = c.b("norm_topk_prob", d.normalize);
  m.routing.scale = static_cast<float>(c.f("routed_scaling_factor", d.scale));
  m.routing.groups = c.size("n_group", d.groups);
  m.routing.top_groups = c.size("topk_group", d.top_groups);
  m.routing.group_best = m.routing.groups > 1 ? 2 : 1;
  require_expert_groups(c, m);
  m.correction_bias = true;
  if (const int64_t n = c.i("n_shared_experts", d.shared); n > 0) {
    c.require(n <= m.experts, "n_shared_experts", "at most as many as routed ones");
    m.shared = p.mlp;
    m.shared->inner = n * m.inner;
    m.shared_name = "shared_experts";
  }
  c.require(c.s("scoring_func", "sigmoid") == "sigmoid", "scoring_func", "sigmoid");
  c.require(c.s("topk_method", "noaux_tc") == "noaux_tc", "topk_method", "noaux_tc");
  for (const char* of_training : {"aux_loss_alpha", "seq_aux", "ep_size"}) c.ignore(of_training);
  return m;
}

std::vector<bool> sparse_layers_after(const Config& c, int64_t layers, int64_t dense) {
  const std::vector<std::string> types = c.strings("mlp_layer_types");
  c.require(types.empty() || static_cast<int64_t>(types.size()) == layers, "mlp_layer_types", "as many as num_hidden_layers");
  const int64_t first = c.i("first_k_dense_replace", dense);
  std::vector<bool> sparse;
  for (int64_t i = 0; i < layers; ++i) {
    if (!types.empty()) c.require(types[i] == "dense" || types[i] == "sparse", "mlp_layer_types", "dense or sparse");
    sparse.push_back(types.empty() ? i >= first : types[i] == "sparse");
  }
  return sparse;
}

Rules without_prediction_layers(const Config& c) {
  constexpr int64_t kMost = 64;
  const int64_t first = c.size("num_hidden_layers"), count = c.i("num_nextn_predict_layers", 0);
  c.require(count <= kMost, "num_nextn_predict_layers", "at most 64");
  Rules rules;
  for (int64_t i = first; i < first + count; ++i)
    for (const char* layer : {"model.layers.", "blk."}) rules += {Drop{layer + std::to_string(i) + ".**"}};
  return rules;
}

FeedForwardOfLayer some_sparse(const DecoderParts& p, const nn::MoeSpec& moe, const std::vector<bool>& sparse) {
  return [p, moe, sparse](const Scope& s, int64_t i) {
    return sparse[i] ? nn::layer<nn::Moe>(s / "mlp", moe) : nn::layer<nn::Mlp>(s / "mlp", p.mlp);
  };
}

std::vector<bool> sparse_layers(const Config& c, int64_t layers) {
  const int64_t step = c.size("decoder_sparse_step", 1);
  std::vector<bool> sparse;
  for (int64_t i = 0; i < layers; ++i) sparse.push_back((i + 1) % step == 0);
  for (const double i : c.floats("mlp_only_layers"))
    if (i >= 0 && i < static_cast<double>(layers)) sparse[static_cast<size_t>(i)] = false;
  return sparse;
}

std::vector<std::string_view> moe_keys(std::initializer_list<std::string_view> more) {
  std::vector<std::string_view> keys = decoder_keys({"rms_norm_eps", "hidden_act", "num_experts", "num_local_experts", "num_experts_per_tok"});
  keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

std::vector<std::string_view> grouped_moe_keys(std::initializer_list<std::string_view> more) {
  std::vector<std::string_view> keys = moe_keys({"moe_intermediate_size", "norm_topk_prob", "routed_scaling_factor", "n_group", "topk_group",
                                                 "n_routed_experts", "n_shared_experts", "scoring_func", "topk_method", "mlp_layer_types",
                                                 "first_k_dense_replace", "num_nextn_predict_layers"});
  keys.insert(keys.end(), more);
  return keys;
}

}  // namespace transom
