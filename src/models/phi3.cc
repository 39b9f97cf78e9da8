// Phi 3, 3.5 and 4 (Abdin et al. 2024; transformers modeling_phi3): Llama's layers with q, k, v and gate, up each in one tensor,
// longrope, perhaps a window and a partial rotation (4-mini).
#include "models/decoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.eps = 1e-5});
  p.attention.mask.window = sliding_window(c, 0);
  c.ignore("original_max_position_embeddings");  // longrope has read it
  c.ignore("embd_pdrop");
  c.ignore("resid_pdrop");
  return pre_norm_decoder(root, p);
}

// No window is written as a window of 0; the original length is longrope's own value.
void adjust_gguf(Json& config) {
  if (config.value("sliding_window", 0) == 0) config["sliding_window"] = nullptr;
}

}  // namespace

Family phi3_family() {
  Rules gguf = gguf_fused_qkv();
  gguf += gguf_fused_gate_up();
  gguf += {Drop{"rope_factors_long.weight"}, Drop{"rope_factors_short.weight"}};  // read into the config
  gguf += gguf_decoder_rules();
  return {.build = build,
          .rules = {Fused{"model.layers.*.self_attn.qkv_proj.*",
                          {"model.layers.*.self_attn.q_proj.*", "model.layers.*.self_attn.k_proj.*", "model.layers.*.self_attn.v_proj.*"}},
                    Fused{"model.layers.*.mlp.gate_up_proj.*", {"model.layers.*.mlp.gate_proj.*", "model.layers.*.mlp.up_proj.*"}}},
          .gguf = {.rules = gguf, .keys = {{"attention.sliding_window", "sliding_window"}}, .adjust = adjust_gguf},
          .base_prefix = "model",
          .config_keys = decoder_keys({"rms_norm_eps", "hidden_act", "sliding_window", "original_max_position_embeddings",
                                       "partial_rotary_factor"})};
}

}  // namespace transom
