// GGUF's names and keys of Qwen3-Next and Qwen 3.5: see moe_parts.h.
#include <algorithm>

#include "models/moe_parts.h"

namespace transom {
namespace {

// Sizes that are told by products, and which layers attend.
void adjust_next(Json& config) {
  const int64_t heads = config.value("linear_num_value_heads", int64_t{0});
  config["linear_value_head_dim"] = config.value("inner_size", int64_t{0}) / std::max<int64_t>(heads, 1);
  const Json recurrent = config.value("recurrent_layers", Json::array());
  for (const Json& is : recurrent) config["layer_types"].push_back(is == 1 ? "linear_attention" : "full_attention");
  const int64_t more = config.value("num_nextn_predict_layers", int64_t{0}), layers = config.value("num_hidden_layers", int64_t{0}) - more;
  config["num_hidden_layers"] = layers;
  if (config.contains("layer_types"))
    while (static_cast<int64_t>(config["layer_types"].size()) > std::max<int64_t>(layers, 0)) config["layer_types"].erase(config["layer_types"].size() - 1);
  for (const char* key : {"inner_size", "recurrent_layers"}) config.erase(key);
}

// The frequencies of time, height and width in turn; the fourth number is of no use to a text model.
void adjust_tiled(Json& config) {
  adjust_next(config);
  if (Json sections = config.value("mrope_section", Json()); sections.is_array() && sections.size() == 4) {
    sections.erase(3);
    config["rope_scaling"]["mrope_section"] = std::move(sections);
    config["rope_scaling"]["mrope_interleaved"] = true;
  }
  config.erase("mrope_section");
  config["linear_value_heads_tiled"] = true;
}

}  // namespace

GgufNames gguf_gated_delta(bool fused) {
  const std::string layer = "model.layers.*.", m = layer + "linear_attn.", a = layer + "self_attn.";
  constexpr auto kPerHead = Fused::Order::kPerHead;
  Rules rules = {Fused{"blk.*.attn_qkv.weight", {m + "in_proj_q.weight", m + "in_proj_k.weight", m + "in_proj_v.weight"}},
                 Fused{"blk.*.attn_q.*", {a + "query_proj.*", a + "gate_proj.*"}, kPerHead},
                 Rename{m + "in_proj_z.*", "blk.*.attn_gate.*"},
                 Rename{m + "conv1d.*", "blk.*.ssm_conv1d.*"},
                 Rename{m + "dt_bias", "blk.*.ssm_dt.bias"},
                 Rename{m + "A_log", "blk.*.ssm_a"},
                 NegativeExp{m + "A_log"},
                 Rename{m + "norm.*", "blk.*.ssm_norm.*"},
                 Rename{m + "out_proj.*", "blk.*.ssm_out.*"},
                 Rename{layer + "post_attention_layernorm.*", "blk.*.post_attention_norm.*"}};
  if (fused) rules += {Fused{"blk.*.ssm_ba.weight", {m + "in_proj_b.weight", m + "in_proj_a.weight"}, kPerHead}};
  else rules += {Rename{m + "in_proj_a.*", "blk.*.ssm_alpha.*"}, Rename{m + "in_proj_b.*", "blk.*.ssm_beta.*"}};
  for (const std::string& norm : {layer + "input_layernorm.weight", layer + "post_attention_layernorm.weight", a + "q_norm.weight",
                                  a + "k_norm.weight", std::string("model.norm.weight")})
    rules += {Offset{norm, -1}};
  rules += gguf_moe_rules();
  return {.rules = std::move(rules),
          .keys = gguf_moe_keys({{"ssm.conv_kernel", "linear_conv_kernel_dim"}, {"ssm.state_size", "linear_key_head_dim"},
                                 {"ssm.group_count", "linear_num_key_heads"}, {"ssm.time_step_rank", "linear_num_value_heads"},
                                 {"ssm.inner_size", "inner_size"}, {"attention.recurrent_layers", "recurrent_layers"},
                                 {"full_attention_interval", "full_attention_interval"}, {"rope.dimension_sections", "mrope_section"},
                                 {"nextn_predict_layers", "num_nextn_predict_layers"}}),
          .adjust = fused ? adjust_next : adjust_tiled};
}

}  // namespace transom
