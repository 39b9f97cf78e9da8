// OLMoE (Muennighoff et al. 2024; transformers modeling_olmoe): Llama's layers with norms over whole rows of q and k and many
// small experts.
#include "models/moe_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.eps = 1e-5});
  p.attention.qkv_bias = p.attention.out_bias = c.b("attention_bias", false);
  p.attention.qk_norm = p.norm;
  p.attention.qk_norm_whole = true;
  p.attention.clip = c.f("clip_qkv", 0);
  nn::MoeSpec moe = moe_spec(c, p);
  moe.routing.normalize = c.b("norm_topk_prob", false);
  return pre_norm_decoder(root, p, {}, [&](const Scope& s, int64_t) { return nn::layer<nn::Moe>(s / "mlp", moe); });
}

}  // namespace

Family olmoe_family() {
  return {.build = build,
          .rules = {},
          .gguf = {.rules = gguf_moe_rules(), .keys = gguf_moe_keys()},
          .base_prefix = "model",
          .config_keys = moe_keys({"attention_bias", "clip_qkv", "norm_topk_prob"})};
}

}  // namespace transom
