// GGUF's names and keys of mixtures of experts: see moe_parts.h.
#include "models/moe_parts.h"

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

}  // namespace transom
