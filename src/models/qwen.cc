// Qwen 1 (Bai et al. 2023), remote code on the hub: Llama's layers with biases on q, k and v, which lie in one tensor; past the
// length of training queries grow by log n, and the rotary base at each doubling.
#include <cmath>

#include "models/decoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.eps_key = "layer_norm_epsilon", .rotates = false});
  p.mlp.inner /= 2;  // the config counts gate and up together
  const int64_t trained = c.size("seq_length");
  nn::RopeSpec rope = nn::plain_rope(p.attention.head_dim, c.f("rotary_emb_base", 10000));
  rope.original = trained;
  rope.base = c.f("rotary_emb_base", 10000);
  rope.doubling = c.b("use_dynamic_ntk", true);
  p.attention.rope = std::make_shared<nn::RopeSpec>(rope);
  const auto length = static_cast<float>(trained);
  if (c.b("use_logn_attn", true)) p.attention.growth = GrowthRule{.slope = 1 / std::log(length), .length = length, .offset = 1};
  p.attention.qkv_bias = true;
  p.attention.out_bias = p.mlp.bias = !c.b("no_bias", true);
  c.require(c.f("rotary_pct", 1) == 1, "rotary_pct", "1");
  c.require(c.b("scale_attn_weights", true), "scale_attn_weights", "true");
  // How to compute the same.
  for (const char* key : {"softmax_in_fp32", "use_cache_kernel", "use_cache_quantization", "use_flash_attn", "bf16", "fp16", "fp32",
                          "emb_dropout_prob", "attn_dropout_prob", "onnx_safe"})
    c.ignore(key);
  return pre_norm_decoder(root, p);
}

// A file does not say how long the texts of training were: what depends on that is off.
void adjust_gguf(Json& config) {
  config["seq_length"] = config.value("max_position_embeddings", 0);
  config["rotary_emb_base"] = config.value("rope_theta", 10000.0);
  config["use_dynamic_ntk"] = config["use_logn_attn"] = false;
  if (!config.contains("layer_norm_epsilon")) config["layer_norm_epsilon"] = config.value("rms_norm_eps", 1e-6);  // older files
  for (const char* key : {"rope_theta", "rms_norm_eps"}) config.erase(key);
}

GgufNames gguf() {
  Rules rules = gguf_fused_qkv();
  rules += gguf_decoder_rules();
  return {.rules = std::move(rules), .keys = {{"attention.layer_norm_epsilon", "layer_norm_epsilon"}}, .adjust = adjust_gguf};
}

}  // namespace

Family qwen_family() {
  return {.build = build,
          .rules = {Fused{"transformer.h.*.attn.c_attn.*",
                          {"model.layers.*.self_attn.q_proj.*", "model.layers.*.self_attn.k_proj.*", "model.layers.*.self_attn.v_proj.*"}},
                    Rename{"model.embed_tokens.*", "transformer.wte.*"},
                    Rename{"model.norm.*", "transformer.ln_f.*"},
                    Rename{"model.layers.*.input_layernorm.*", "transformer.h.*.ln_1.*"},
                    Rename{"model.layers.*.post_attention_layernorm.*", "transformer.h.*.ln_2.*"},
                    Rename{"model.layers.*.self_attn.o_proj.*", "transformer.h.*.attn.c_proj.*"},
                    Rename{"model.layers.*.mlp.up_proj.*", "transformer.h.*.mlp.w1.*"},
                    Rename{"model.layers.*.mlp.gate_proj.*", "transformer.h.*.mlp.w2.*"},
                    Rename{"model.layers.*.mlp.down_proj.*", "transformer.h.*.mlp.c_proj.*"},
                    Drop{"transformer.rotary_emb.inv_freq"}},
          .gguf = gguf(),
          .base_prefix = "transformer",
          .config_keys = decoder_keys({"layer_norm_epsilon", "seq_length", "use_dynamic_ntk", "use_logn_attn", "rotary_emb_base", "rotary_pct",
                                       "no_bias", "scale_attn_weights"}),
          .config_aliases = {{"kv_channels", "head_dim"}}};
}

}  // namespace transom
