// GPT-OSS (OpenAI 2025; transformers modeling_gpt_oss): attention with sinks, a window in every other layer, and experts with
// biases and a clamped SwiGLU; they lie stacked, transposed, the rows of gate and up in turn.
#include "models/moe_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.eps = 1e-5, .rope_theta = 150000, .head_dim = 64});
  p.attention.qkv_bias = p.attention.out_bias = c.b("attention_bias", true);
  p.attention.sinks = true;
  nn::AttentionSpec local = p.attention;
  local.mask.window = sliding_window(c, 128);
  const std::vector<bool> sliding = sliding_layers(c, p.layers, [](int64_t i) { return i % 2 == 0; });
  nn::MoeSpec moe = moe_spec(c, p);
  moe.routing.normalize = true;  // a softmax over the chosen logits
  moe.router_bias = moe.bias = true;
  moe.router = "router";
  moe.act = Activation::kQuickGelu;  // whatever hidden_act says
  moe.clamp = {.limit = static_cast<float>(c.f("swiglu_limit", 7)), .up_offset = 1};
  c.require(c.f("swiglu_alpha", 1.702) == 1.702, "swiglu_alpha", "1.702");
  c.require(moe.clamp.limit > 0, "swiglu_limit", "a number above 0");
  return pre_norm_decoder(root, p, [&](int64_t i) { return sliding[i] ? local : p.attention; },
                          [&](const Scope& s, int64_t) { return nn::layer<nn::Moe>(s / "mlp", moe); });
}

Rules rules() {
  const std::string list = "model.layers.*.mlp.experts.", expert = list + "*.";
  Rules r;
  for (const std::string kind : {"weight", "bias"}) {
    const std::string suffix = kind == "bias" ? "_bias" : "";
    r += {Fused{expert + "gate_up_proj." + kind, {expert + "gate_proj." + kind, expert + "up_proj." + kind}, Fused::Order::kInterleaved},
          Stacked{expert + "gate_up_proj." + kind, list + "gate_up_proj" + suffix},
          Stacked{expert + "down_proj." + kind, list + "down_proj" + suffix}};
  }
  r += {Transposed{list + "gate_up_proj"}, Transposed{list + "down_proj"}};
  return r;
}

// A GGUF file does not say that YaRN's range is not rounded; so it is in all published models.
void adjust_gguf(Json& config) {
  if (config.contains("rope_scaling")) config["rope_scaling"]["truncate"] = false;
}

Rules gguf_rules() {
  Rules r = {Rename{"model.layers.*.mlp.router.*", "blk.*.ffn_gate_inp.*"},
             Rename{"model.layers.*.self_attn.sinks", "blk.*.attn_sinks.weight"},
             Rename{"model.layers.*.post_attention_layernorm.*", "blk.*.post_attention_norm.*"}};
  for (const std::string kind : {"weight", "bias"})
    for (const std::string part : {"gate", "up", "down"})
      r += {Stacked{"model.layers.*.mlp.experts.*." + part + "_proj." + kind, "blk.*.ffn_" + part + "_exps." + kind}};
  r += gguf_decoder_rules();
  return r;
}

}  // namespace

Family gpt_oss_family() {
  return {.build = build,
          .rules = rules(),
          .gguf = {.rules = gguf_rules(),
                   .keys = {{"expert_count", "num_experts"}, {"expert_used_count", "num_experts_per_tok"},
                            {"expert_feed_forward_length", "intermediate_size"}, {"attention.sliding_window", "sliding_window"}},
                   .adjust = adjust_gguf},
          .base_prefix = "model",
          .config_keys = moe_keys({"attention_bias", "sliding_window", "layer_types", "swiglu_alpha", "swiglu_limit"})};
}

}  // namespace transom
