// Gemma 3n, the text model (Google 2025; transformers modeling_gemma3n): sandwich blocks over four residual streams (AltUp), with a
// low-rank path beside attention (Laurel), sparse activations in the first layers, inputs of single layers, and the last
// layers with the keys and values of earlier ones.
#include <cmath>
#include <numbers>

#include "models/gemma_parts.h"
#include "nn/altup.h"
#include "nn/per_layer.h"

namespace transom {
namespace {

struct Gemma3nBlock final : nn::Block {
  nn::AltUp altup;
  nn::NormLayer attention_norm, attention_post_norm, mlp_norm, mlp_post_norm;
  nn::LayerPtr attention, mlp;
  nn::Linear laurel_left, laurel_right;
  nn::NormLayer laurel_norm;
  nn::PerLayerGate gate;

  Gemma3nBlock(const Scope& s, const DecoderParts& p, int64_t rank, nn::LayerPtr f, nn::LayerPtr g, int64_t number)
      : altup(s / "altup", *p.decoder.streams), attention_norm(s / "input_layernorm", p.norm),
        attention_post_norm(s / "post_attention_layernorm", p.norm), mlp_norm(s / "pre_feedforward_layernorm", p.norm),
        mlp_post_norm(s / "post_feedforward_layernorm", p.norm), attention(std::move(f)), mlp(std::move(g)),
        laurel_left(s / "laurel.linear_left", p.norm.size, rank, {}), laurel_right(s / "laurel.linear_right", rank, p.norm.size, {}),
        laurel_norm(s / "laurel.post_laurel_norm", p.norm), gate(s, *p.decoder.per_layer, p.norm, number) {}

  nn::Hidden forward(Ctx& cx, nn::Hidden h) const override {
    h.streams.insert(h.streams.begin(), h.x);
    nn::AltUp::Streams p = altup.predict(cx, h.streams);
    const Tensor a = attention_norm.forward(cx, p[0]);
    const Tensor laurel = ops::add(cx, laurel_norm.forward(cx, laurel_right.forward(cx, laurel_left.forward(cx, a))), a);
    const Tensor b = ops::add(cx, attention_post_norm.forward(cx, attention->forward(cx, a)), p[0]);
    const Tensor x = ops::scale(cx, ops::add(cx, b, laurel), static_cast<float>(1 / std::numbers::sqrt2));
    const Tensor y = mlp_post_norm.forward(cx, mlp->forward(cx, mlp_norm.forward(cx, x)));
    p = altup.correct(cx, std::move(p), ops::add(cx, y, x));
    const Tensor own = gate.forward(cx, altup.output(cx, p[0]), h.per_layer);
    for (size_t i = 1; i < p.size(); ++i) p[i] = ops::add(cx, p[i], own);
    h.x = p[0];
    h.streams.assign(p.begin() + 1, p.end());
    return h;
  }
};

// The number that a normal variable stays below with probability p.
double normal_quantile(double p) {
  double low = -10, high = 10;
  for (int i = 0; i < 80; ++i) {
    const double x = (low + high) / 2;
    (std::erfc(-x / std::numbers::sqrt2) / 2 < p ? low : high) = x;
  }
  return low;
}

DecoderParts parts(const Config& c) {
  DecoderParts p = decoder_parts(c, {.rope_theta = 1e6, .rope_layers = "full_attention", .head_dim = 256, .act_key = "hidden_activation",
                                     .act = "gelu_pytorch_tanh", .tied = true});
  p.attention.scale = 1;
  p.attention.qkv_bias = p.attention.out_bias = c.b("attention_bias", false);
  p.attention.qk_norm = nn::NormSpec{.size = p.attention.head_dim, .eps = p.norm.eps};
  p.attention.v_norm = nn::NormSpec{.size = p.attention.head_dim, .eps = p.norm.eps, .weight = false};
  p.decoder.embedding_scale = std::sqrt(static_cast<double>(p.norm.size));
  p.decoder.logit_softcap = c.f("final_logit_softcapping", 30);
  const int64_t size = c.size("hidden_size_per_layer_input", 256);
  p.decoder.per_layer = nn::PerLayerSpec{.layers = p.layers, .size = size, .vocab = c.size("vocab_size_per_layer_input", 262144),
                                         .norm = {.size = size, .eps = p.norm.eps}, .act = p.mlp.act};
  p.decoder.streams = nn::AltUpSpec{.streams = c.size("altup_num_inputs", 4), .norm = p.norm, .scale_output = c.b("altup_correct_scale", true)};
  c.require(c.i("altup_active_idx", 0) == 0, "altup_active_idx", "0");
  c.ignore("altup_coef_clip");  // of training
  return p;
}

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  const DecoderParts p = parts(c);
  nn::AttentionSpec local = p.attention;
  local.rope = local_rope(c, local.head_dim, c.f("rope_local_base_freq", 10000));
  local.mask.window = sliding_window(c, 512);
  const std::vector<bool> sliding = sliding_layers(c, p.layers, [](int64_t i) { return (i + 1) % 5 != 0; });
  const std::vector<double> sparsity = c.floats("activation_sparsity_pattern");
  c.require(sparsity.empty() || static_cast<int64_t>(sparsity.size()) == p.layers, "activation_sparsity_pattern", "as many as num_hidden_layers");
  const int64_t rank = c.size("laurel_rank", 64);
  SharedKeys keys(c, p.layers, 15);
  auto d = std::make_unique<nn::Decoder>(root, p.decoder);
  int64_t i = 0;
  for (const Scope& s : layers(root / "model.layers", p.layers)) {
    nn::MlpSpec mlp = p.mlp;
    const double share = sparsity.empty() ? (p.layers > 10 && i < 10 ? 0.95 : 0) : sparsity[i];
    if (share > 0) mlp.cutoff = normal_quantile(share);
    nn::LayerPtr attention = keys.attention(s / "self_attn", sliding[i] ? local : p.attention, i, sliding[i]);
    d->add<Gemma3nBlock>(s, p, rank, std::move(attention), nn::layer<nn::Mlp>(s / "mlp", mlp), i);
    ++i;
  }
  return d;
}

// All published models repeat one size of the feed-forward.
void adjust(Json& config) { join_repeated(config, "intermediate_size"); }

}  // namespace

Family gemma3n_family() {
  return {.build = build,
          .rules = gemma_rules(),
          .gguf = gemma3n_gguf(),
          .base_prefix = "language_model",
          .config_keys = decoder_keys({"rms_norm_eps", "hidden_activation", "attention_bias", "sliding_window", "layer_types",
                                       "final_logit_softcapping", "vocab_size_per_layer_input", "hidden_size_per_layer_input",
                                       "num_kv_shared_layers", "altup_num_inputs", "altup_correct_scale", "altup_active_idx", "laurel_rank",
                                       "activation_sparsity_pattern", "rope_local_base_freq"}),
          .section = "text_config",
          .adjust = adjust};
}

}  // namespace transom
