// Falcon-H1 (TII 2025; transformers modeling_falcon_h1): in every layer Mamba 2 and attention read the same norm, side by side;
// multipliers on most of what flows (muP).
#include "models/mamba_parts.h"
#include "models/moe_parts.h"

namespace transom {
namespace {

// x + m mamba(N x) + a attention(N x);  x + d g(N x)
struct SideBySide final : nn::Block {
  nn::NormLayer norm;
  nn::LayerPtr mamba, attention;
  nn::NormLayer mlp_norm;
  nn::LayerPtr mlp;
  float mamba_scale, attention_scale, mlp_scale;

  SideBySide(const Scope& s, const DecoderParts& p, const nn::Mamba2Spec& m, double of_mamba, double of_attention, double of_mlp)
      : norm(s / "input_layernorm", p.norm),
        mamba(nn::layer<nn::Mamba2>(s / "mamba", m)),
        attention(nn::layer<nn::Attention>(s / "self_attn", p.attention)),
        mlp_norm(s / "pre_ff_layernorm", p.norm),
        mlp(nn::layer<nn::Mlp>(s / "feed_forward", p.mlp)),
        mamba_scale(static_cast<float>(of_mamba)),
        attention_scale(static_cast<float>(of_attention)),
        mlp_scale(static_cast<float>(of_mlp)) {}

  nn::Hidden forward(Ctx& cx, nn::Hidden h) const override {
    const Tensor a = norm.absorb(cx, h);
    h.x = ops::add(cx, h.x, mamba->forward(cx, a), mamba_scale);
    h.pending = attention->forward(cx, a);
    h.scale = attention_scale;
    const Tensor b = mlp_norm.absorb(cx, h);
    h.pending = mlp->forward(cx, b);
    h.scale = mlp_scale;
    return h;
  }
};

std::vector<double> multipliers(const Config& c, const char* key, size_t count) {
  std::vector<double> m = c.floats(key);
  if (m.empty()) m.assign(count, 1.0);
  c.require(m.size() == count, key, std::to_string(count) + " numbers");
  return m;
}

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  DecoderParts p = decoder_parts(c, {.eps = 1e-5});
  const std::vector<double> mlp = multipliers(c, "mlp_multipliers", 2), parts = multipliers(c, "ssm_multipliers", 5);
  // A factor on what a projection without bias reads is one on what it gives.
  for (const char* bias : {"attention_bias", "mamba_proj_bias", "projectors_bias"}) c.require(!c.b(bias, false), bias, "false");
  const double attention_in = c.f("attention_in_multiplier", 1), mamba_in = c.f("ssm_in_multiplier", 1);
  p.attention.scale *= c.f("key_multiplier", 1) * attention_in * attention_in;
  p.mlp.bias = c.b("mlp_bias", false);
  p.mlp.gate_scale = mlp[0];
  p.decoder.embedding_scale = c.f("embedding_multiplier", 1);
  p.decoder.logit_scale = c.f("lm_head_multiplier", 1);
  nn::Mamba2Spec m = hybrid_mamba2(c, p);
  if (!c.b("mamba_rms_norm", false)) m.norm.reset();
  m.gate_last = c.b("mamba_norm_before_gate", true);
  for (size_t i = 0; i < parts.size(); ++i) m.scales[i] = parts[i] * mamba_in;
  auto d = std::make_unique<nn::Decoder>(root, p.decoder);
  for (const Scope& s : layers(root / "model.layers", p.layers))
    d->add<SideBySide>(s, p, m, c.f("ssm_out_multiplier", 1), c.f("attention_out_multiplier", 1) * attention_in, mlp[1]);
  return d;
}

Rules gguf_rules() {
  Rules rules = gguf_mamba_rules("mamba");
  rules += {Rename{"model.layers.*.pre_ff_layernorm.weight", "blk.*.ffn_norm"}};
  rules += gguf_moe_rules("feed_forward");
  return rules;
}

}  // namespace

Family falcon_h1_family() {
  return {.build = build,
          .rules = {Rename{"model.norm.*", "model.final_layernorm.*"}},
          .gguf = {.rules = gguf_rules(),  // the weights are stored with the multipliers in them
                   .keys = gguf_hybrid_mamba2_keys({}),
                   .present = {{"blk.0.ssm_norm.weight", "mamba_rms_norm"}},
                   .adjust = [](Json& config) { config["mamba_norm_before_gate"] = false; }},
          .base_prefix = "model",
          .config_keys = hybrid_mamba2_keys({"mlp_bias", "projectors_bias", "mamba_d_ssm", "mamba_rms_norm", "mamba_norm_before_gate",
                                             "embedding_multiplier", "lm_head_multiplier", "mlp_multipliers", "key_multiplier",
                                             "attention_in_multiplier", "attention_out_multiplier", "ssm_multipliers", "ssm_in_multiplier",
                                             "ssm_out_multiplier"})};
}

}  // namespace transom
