// GGUF's names and keys of Gemma 3n and 4: see gemma_parts.h.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "models/gemma_parts.h"

namespace transom {

Rules gguf_per_layer_rules() {
  const std::string layer = "model.layers.*.";
  Rules rules = {Rename{layer + "layer_scalar", "blk.*.layer_output_scale.weight"},
                 Rename{layer + "per_layer_input_gate.*", "blk.*.inp_gate.*"},
                 Rename{layer + "per_layer_projection.*", "blk.*.proj.*"},
                 Rename{layer + "post_per_layer_input_norm.*", "blk.*.post_norm.*"},
                 Rename{"model.embed_tokens_per_layer.*", "per_layer_token_embd.*"},
                 Rename{"model.per_layer_model_projection.*", "per_layer_model_proj.*"},
                 Rename{"model.per_layer_projection_norm.*", "per_layer_proj_norm.*"}};
  for (const char* name : {"blk.*.attn_k.*", "blk.*.attn_v.*", "blk.*.attn_k_norm.*"}) rules += {Drop{name}};  // of layers with others' keys
  rules += gguf_sandwich_rules();
  return rules;
}

// A file says it of windowed and full layers apart, or layer by layer.
static void adjust_gemma4_gguf(Json& config) {
  config["global_head_dim"] = config.value("head_dim", 0);
  config["head_dim"] = config.value("key_length_swa", 0);
  config["rope_parameters"]["sliding_attention"] = {{"rope_theta", config.value("rope_theta_swa", 10000.0)}};
  Json full = config.value("rope_scaling", Json::object());
  full["rope_theta"] = config.value("rope_theta", 10000.0);
  config["rope_parameters"]["full_attention"] = std::move(full);
  for (const char* key : {"key_length_swa", "rope_theta_swa", "rope_theta", "rope_scaling"}) config.erase(key);
  config["vocab_size_per_layer_input"] = config["vocab_size"];
  const Json types = config.value("layer_types", Json::array()), heads = config["num_key_value_heads"], inner = config["intermediate_size"];
  config["attention_k_eq_v"] = heads.is_array();
  for (size_t i = 0; heads.is_array() && i < std::min(heads.size(), types.size()); ++i)
    config[types[i] == "full_attention" ? "num_global_key_value_heads" : "num_key_value_heads"] = heads[i];
  config["use_double_wide_mlp"] = inner.is_array() && !inner.empty();
  if (config["use_double_wide_mlp"] == true) config["intermediate_size"] = inner[0];
}

// A file has the number of standard deviations that sets off the wanted share, and rows for all tokens in both tables.
static void adjust_gemma3n_gguf(Json& config) {
  for (const Json& x : config.value("sparsity_scale", Json::array()))
    config["activation_sparsity_pattern"].push_back(std::erfc(-x.get<double>() / std::numbers::sqrt2) / 2);
  config.erase("sparsity_scale");
  config["vocab_size_per_layer_input"] = config["vocab_size"];
  join_repeated(config, "intermediate_size");
}

GgufNames gemma3n_gguf() {
  const std::string layer = "model.layers.*.";
  Rules rules = {Stacked{"model.altup_projections.*.weight", "altup_proj.weight", 0},
                 Stacked{"model.altup_unembed_projections.*.weight", "altup_unembd_proj.weight", 0},
                 Rename{layer + "altup.correction_coefs.*", "blk.*.altup_correct_coef.*"},
                 Rename{layer + "altup.correct_output_scale", "blk.*.altup_correct_scale.weight"},
                 Rename{layer + "altup.prediction_coefs.*", "blk.*.altup_predict_coef.*"},
                 Rename{layer + "altup.modality_router.*", "blk.*.altup_router.*"},
                 Rename{layer + "altup.router_norm.*", "blk.*.altup_router_norm.*"},
                 Rename{layer + "laurel.linear_left.*", "blk.*.laurel_l.*"},
                 Rename{layer + "laurel.linear_right.*", "blk.*.laurel_r.*"},
                 Rename{layer + "laurel.post_laurel_norm.*", "blk.*.laurel_post_norm.*"}};
  rules += gguf_per_layer_rules();
  return {.rules = std::move(rules),
          .keys = {{"altup.active_idx", "altup_active_idx"}, {"altup.num_inputs", "altup_num_inputs"},
                   {"activation_sparsity_scale", "sparsity_scale"}, {"rope.freq_base_swa", "rope_local_base_freq"},
                   {"attention.sliding_window", "sliding_window"}, {"attention.sliding_window_pattern", "layer_types"},
                   {"attention.shared_kv_layers", "num_kv_shared_layers"},
                   {"embedding_length_per_layer_input", "hidden_size_per_layer_input"},
                   {"final_logit_softcapping", "final_logit_softcapping"}},
          .rows = {{"blk.0.laurel_l.weight", "laurel_rank"}},
          .adjust = adjust_gemma3n_gguf};
}

GgufNames gemma4_gguf() {
  const std::string layer = "model.layers.*.", expert = layer + "experts.*.";
  Rules rules = {Fused{expert + "gate_up_proj.weight", {expert + "gate_proj.weight", expert + "up_proj.weight"}},
                 Stacked{expert + "gate_up_proj.weight", "blk.*.ffn_gate_up_exps.weight"},
                 Stacked{expert + "down_proj.weight", "blk.*.ffn_down_exps.weight"},
                 Rename{layer + "router.proj.weight", "blk.*.ffn_gate_inp.weight"},
                 Rename{layer + "router.weight", "blk.*.ffn_gate_inp.scale"},
                 Rename{layer + "router.proj.per_expert_scale", "blk.*.ffn_down_exps.scale"},
                 Rename{layer + "pre_feedforward_layernorm_2.*", "blk.*.pre_ffw_norm_2.*"},
                 Rename{layer + "post_feedforward_layernorm_1.*", "blk.*.post_ffw_norm_1.*"},
                 Rename{layer + "post_feedforward_layernorm_2.*", "blk.*.post_ffw_norm_2.*"}};
  rules += gguf_per_layer_rules();
  return {.rules = std::move(rules),
          .keys = {{"attention.key_length_swa", "key_length_swa"}, {"attention.value_length_swa", ""},
                   {"rope.dimension_count_swa", ""}, {"rope.freq_base_swa", "rope_theta_swa"},
                   {"attention.sliding_window", "sliding_window"}, {"attention.sliding_window_pattern", "layer_types"},
                   {"attention.shared_kv_layers", "num_kv_shared_layers"},
                   {"embedding_length_per_layer_input", "hidden_size_per_layer_input"},
                   {"final_logit_softcapping", "final_logit_softcapping"},
                   {"expert_count", "num_experts"}, {"expert_used_count", "top_k_experts"},
                   {"expert_feed_forward_length", "moe_intermediate_size"}},
          .present = {{"blk.0.ffn_gate_inp.weight", "enable_moe_block"}},
          .adjust = adjust_gemma4_gguf};
}

}  // namespace transom
