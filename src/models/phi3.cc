// Phi 3, 3.5 and 4 (Abdin et al. 2024; transformers modeling_phi3): Llama's layers with q, k, v and gate, up each in one tensor,
// longrope, perhaps a window and a partial rotation (4-mini).
#include "models/decoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.eps = 1e-5});
  p.attention.mask.window = sliding_window(c, 0);
  c.ignore("embd_pdrop");
  c.ignore("resid_pdrop");
  return pre_norm_decoder(root, p);
}

}  // namespace

Family phi3_family() {
  return {.build = build,
          .rules = {Fused{"model.layers.*.self_attn.qkv_proj.*",
                          {"model.layers.*.self_attn.q_proj.*", "model.layers.*.self_attn.k_proj.*", "model.layers.*.self_attn.v_proj.*"}},
                    Fused{"model.layers.*.mlp.gate_up_proj.*", {"model.layers.*.mlp.gate_proj.*", "model.layers.*.mlp.up_proj.*"}}},
          .gguf = {},
          .base_prefix = "model",
          .config_keys = decoder_keys({"rms_norm_eps", "hidden_act", "sliding_window", "original_max_position_embeddings",
                                       "partial_rotary_factor"})};
}

}  // namespace transom
