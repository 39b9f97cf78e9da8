// GGUF's names and keys of mixtures of experts: see moe_parts.h.
#include "models/moe_parts.h"

#include <algorithm>

namespace transom {

Rules gguf_moe_rules(const std::string& scope, const std::string& router) {
  const std::string moe = "model.layers.*." + scope + ".";
  Rules rules = {Rename{moe + router + ".weight", "blk.*.ffn_gate_inp.weight"},
                 Rename{moe + router + ".e_score_correction_bias", "blk.*.exp_probs_b.bias"},
                 Rename{moe + "shared_expert_gate.weight", "blk.*.ffn_gate_inp_shexp.weight"}};
  for (const std::string part : {"gate", "up", "down"}) {
    rules += {Stacked{moe + "experts.*." + part + "_proj.weight", "blk.*.ffn_" + part + "_exps.weight"},
              Rename{moe + part + "_proj.*", "blk.*.ffn_" + part + ".*"}};
    for (const char* shared : {"shared_expert.", "shared_experts."})
      rules += {Rename{moe + shared + part + "_proj.*", "blk.*.ffn_" + part + "_shexp.*"}};
  }
  rules += gguf_decoder_rules();
  return rules;
}

GgufNames::Names gguf_moe_keys(const GgufNames::Names& more) {
  GgufNames::Names keys = {{"expert_count", "num_experts"},
                           {"expert_used_count", "num_experts_per_tok"},
                           {"expert_feed_forward_length", "moe_intermediate_size"},
                           {"expert_shared_feed_forward_length", "shared_expert_intermediate_size"}};
  keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

GgufNames::Names gguf_grouped_moe_keys(const GgufNames::Names& more) {
  GgufNames::Names keys = gguf_moe_keys({{"expert_shared_count", "n_shared_experts"},
                                         {"expert_weights_scale", "routed_scaling_factor"},
                                         {"expert_weights_norm", "norm_topk_prob"},
                                         {"expert_group_count", "n_group"},
                                         {"expert_group_used_count", "topk_group"},
                                         {"expert_gating_func", "scoring_func"},
                                         {"leading_dense_block_count", "first_k_dense_replace"},
                                         {"nextn_predict_layers", "num_nextn_predict_layers"}});
  keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

void gguf_grouped_moe(Json& config) {
  if (!config.contains("norm_topk_prob")) config["norm_topk_prob"] = false;
  if (!config.contains("routed_scaling_factor")) config["routed_scaling_factor"] = 1;
  if (config.contains("scoring_func")) config["scoring_func"] = config["scoring_func"] == 2 ? "sigmoid" : "softmax";
  if (!config.contains("n_group")) {  // as older files leave it out
    const int64_t experts = config.value("num_experts", int64_t{0});
    const bool grouped = experts == 160 || experts == 256;  // DeepSeek V2, V3
    config["n_group"] = grouped ? 8 : 1;
    config["topk_group"] = grouped ? (experts == 160 ? 3 : 4) : 1;
  }
  // Layers that predict further tokens are counted.
  config["num_hidden_layers"] = config.value("num_hidden_layers", int64_t{0}) - config.value("num_nextn_predict_layers", int64_t{0});
}

// A file of MiMo-V2 says of windowed and other layers alike how many kv heads each has. Its window is that of published configs, which
// leaves the query's own token out.
static void adjust_mimo_v2(Json& config) {
  config["norm_topk_prob"] = true;
  gguf_grouped_moe(config);
  const auto layers = std::max<int64_t>(config.value("num_hidden_layers", int64_t{0}), 0);
  Json types = Json::array(), freq = Json::array();
  const Json heads = config["num_key_value_heads"], all = config.value("layer_types", Json::array());
  if (heads.is_array() && !heads.empty()) config["num_key_value_heads"] = heads[0];
  const auto sparse = config.value("sparse_layers", std::vector<int64_t>{});
  for (int64_t i = 0; i < std::min<int64_t>(layers, static_cast<int64_t>(all.size())); ++i) {
    types.push_back(all[i]);
    freq.push_back(std::find(sparse.begin(), sparse.end(), i) != sparse.end() ? 1 : 0);
    if (heads.is_array() && i < static_cast<int64_t>(heads.size()))
      config[all[i] == "sliding_attention" ? "swa_num_key_value_heads" : "num_key_value_heads"] = heads[i];
  }
  config["layer_types"] = types;
  config["moe_layer_freq"] = freq;
  config.erase("sparse_layers");
  if (!config.contains("attention_value_scale")) config["attention_value_scale"] = nullptr;
}

GgufNames mimo_v2_gguf() {
  Rules rules = {Rename{"model.layers.*.self_attn.sinks", "blk.*.attn_sinks.weight"}};
  rules += gguf_moe_rules();
  return {.rules = std::move(rules),
          .keys = gguf_grouped_moe_keys({{"attention.value_length", "v_head_dim"}, {"attention.value_scale", "attention_value_scale"},
                                         {"attention.sliding_window", "sliding_window_size"}, {"attention.sliding_window_pattern", "layer_types"},
                                         {"rope.freq_base_swa", "swa_rope_theta"}}),
          .layers = {{"blk.*.ffn_gate_inp.weight", "sparse_layers"}, {"blk.*.attn_sinks.weight", "attention_sink_layers"}},
          .adjust = adjust_mimo_v2};
}

}  // namespace transom
