// GLM-4 (Zhipu AI 2024; transformers modeling_glm) and GLM-4-0414 (modeling_glm4): rotation of adjacent pairs in half of each head,
// gate and up in one tensor; the latter in sandwich-norm blocks.
#include "models/decoder_parts.h"

namespace transom {
namespace {

DecoderParts parts(const Config& c) {
  DecoderParts p = decoder_parts(c, {.eps = 1.5625e-7, .head_dim = 128});
  p.attention.rope = interleaved(*p.attention.rope);
  p.attention.qkv_bias = c.b("attention_bias", true);
  return p;
}

std::unique_ptr<nn::Network> build_glm(const Config& c, const Scope& root) { return pre_norm_decoder(root, parts(c)); }

std::unique_ptr<nn::Network> build_glm4(const Config& c, const Scope& root) {
  return sandwich_decoder(root, parts(c), {});
}

const Fused kGateUp{"model.layers.*.mlp.gate_up_proj.*", {"model.layers.*.mlp.gate_proj.*", "model.layers.*.mlp.up_proj.*"}};

GgufNames gguf(const Rules& decoder) {
  Rules rules = gguf_fused_gate_up();
  rules += decoder;
  return {.rules = std::move(rules), .present = {{"blk.0.attn_q.bias", "attention_bias"}}};
}

}  // namespace

Family glm_family() {
  return {.build = build_glm,
          .rules = {kGateUp},
          .gguf = gguf(gguf_decoder_rules()),
          .base_prefix = "model",
          .config_keys = decoder_keys({"rms_norm_eps", "hidden_act", "attention_bias", "partial_rotary_factor"})};
}

Family glm4_family() {
  return {.build = build_glm4,
          .rules = {kGateUp,
                    Rename{"model.layers.*.post_attention_layernorm.*", "model.layers.*.post_self_attn_layernorm.*"},
                    Rename{"model.layers.*.pre_feedforward_layernorm.*", "model.layers.*.post_attention_layernorm.*"},
                    Rename{"model.layers.*.post_feedforward_layernorm.*", "model.layers.*.post_mlp_layernorm.*"}},
          .gguf = gguf(gguf_sandwich_rules()),
          .base_prefix = "model",
          .config_keys = decoder_keys({"rms_norm_eps", "hidden_act", "attention_bias", "partial_rotary_factor"})};
}

}  // namespace transom
