// InternLM 1, 2 (Cai et al. 2024) and 3, remote code on the hub: Llama's layers; InternLM 1 with biases in attention, InternLM 2 with
// q, k and v of each key head in turn in one tensor.
#include "models/decoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build_internlm(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c);
  p.attention.qkv_bias = p.attention.out_bias = c.b("bias", true);
  return pre_norm_decoder(root, p);
}

std::unique_ptr<nn::Network> build_internlm2(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c);
  p.attention.qkv_bias = p.attention.out_bias = c.b("bias", false);
  return pre_norm_decoder(root, p);
}

std::unique_ptr<nn::Network> build_internlm3(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.eps = 1e-5, .head_dim = 128});
  p.attention.qkv_bias = c.b("attention_bias", false);
  p.attention.out_bias = p.mlp.bias = c.b("mlp_bias", false);
  return pre_norm_decoder(root, p);
}

// InternLM 1 has the base and the scaling of its rotation in one object.
void adjust_rotary(Json& config) {
  const Json rotary = config.value("rotary", Json());
  if (!rotary.is_object()) return;
  config.erase("rotary");
  if (rotary.contains("base")) config["rope_theta"] = rotary["base"];
  if (rotary.value("type", Json()) == "dynamic")
    config["rope_scaling"] = {{"type", "dynamic"}, {"factor", rotary.value("scaling_factor", Json(1.0))}};
}

}  // namespace

Family internlm_family() {
  return {.build = build_internlm,
          .rules = {Drop{"model.layers.*.self_attn.rotary_emb.inv_freq"}},
          .gguf = {},
          .base_prefix = "model",
          .config_keys = decoder_keys({"rms_norm_eps", "hidden_act", "bias"}),
          .adjust = adjust_rotary};
}

Family internlm2_family() {
  return {.build = build_internlm2,
          .rules = {Fused{"model.layers.*.attention.wqkv.*",
                          {"model.layers.*.self_attn.q_proj.*", "model.layers.*.self_attn.k_proj.*", "model.layers.*.self_attn.v_proj.*"},
                          Fused::Order::kPerHead},
                    Rename{"model.embed_tokens.*", "model.tok_embeddings.*"},
                    Rename{"lm_head.*", "output.*"},
                    Rename{"model.layers.*.input_layernorm.*", "model.layers.*.attention_norm.*"},
                    Rename{"model.layers.*.post_attention_layernorm.*", "model.layers.*.ffn_norm.*"},
                    Rename{"model.layers.*.self_attn.o_proj.*", "model.layers.*.attention.wo.*"},
                    Rename{"model.layers.*.mlp.gate_proj.*", "model.layers.*.feed_forward.w1.*"},
                    Rename{"model.layers.*.mlp.up_proj.*", "model.layers.*.feed_forward.w3.*"},
                    Rename{"model.layers.*.mlp.down_proj.*", "model.layers.*.feed_forward.w2.*"}},
          .gguf = {.rules = gguf_decoder_rules(), .adjust = gguf_rows_in_pairs},
          .base_prefix = "model",
          .config_keys = decoder_keys({"rms_norm_eps", "hidden_act", "bias"})};
}

Family internlm3_family() {
  return {.build = build_internlm3,
          .rules = {},
          .gguf = {},
          .base_prefix = "model",
          .config_keys = decoder_keys({"rms_norm_eps", "hidden_act", "attention_bias", "mlp_bias"}),
          .config_aliases = {{"qkv_bias", "attention_bias"}, {"bias", "mlp_bias"}}};
}

}  // namespace transom
