// ModernBERT (Warner et al. 2024; transformers modeling_modernbert): pre-norm encoder with rotary positions, gated
// feed-forward, and local windows with their own rotary base between layers that see everything.
#include <cmath>

#include "models/encoder_parts.h"

namespace transom {
namespace {

// The first layer: the embeddings' norm serves its mixer.
struct FirstLayer final : nn::Block {
  nn::LayerPtr mixer;
  nn::NormLayer mlp_norm;
  nn::LayerPtr mlp;

  FirstLayer(nn::LayerPtr f, nn::NormLayer n, nn::LayerPtr g) : mixer(std::move(f)), mlp_norm(n), mlp(std::move(g)) {}
  nn::Hidden forward(Ctx& cx, nn::Hidden h) const override {
    h.pending = mixer->forward(cx, h.x);
    const Tensor a = mlp_norm.absorb(cx, h);
    h.pending = mlp->forward(cx, a);
    return h;
  }
};

nn::NormSpec norm_of(const Config& c) {
  return {.kind = nn::Norm::kLayer, .size = c.size("hidden_size"), .eps = c.f("norm_eps", 1e-5), .bias = c.b("norm_bias", false)};
}

std::shared_ptr<const nn::RopeSpec> rope(const Config& c, int64_t head_dim, const char* kind, const char* old_key, double theta) {
  return std::make_shared<nn::RopeSpec>(nn::rope_from_config(c, head_dim, c.f(old_key, theta), kind));
}

// Which layers see everything: `layer_types`, or each global_attn_every_n_layers-th.
std::vector<bool> full_layers(const Config& c, int64_t n) {
  const int64_t every = c.size("global_attn_every_n_layers", 3);
  const std::vector<std::string> types = c.strings("layer_types");
  c.require(types.empty() || static_cast<int64_t>(types.size()) == n, "layer_types", "as many as num_hidden_layers");
  std::vector<bool> full;
  for (int64_t i = 0; i < n; ++i) full.push_back(types.empty() ? i % every == 0 : types[i] == "full_attention");
  return full;
}

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  for (const char* key : {"classifier_activation", "classifier_bias", "classifier_pooling", "decoder_bias"}) c.ignore(key);  // the head reads them
  for (const char* key : {"deterministic_flash_attn", "embedding_dropout", "initializer_cutoff_factor", "mlp_dropout",
                          "sparse_pred_ignore_index", "sparse_prediction", "reference_compile"})
    c.ignore(key);
  EncoderParts p = encoder_parts(c);
  p.norm = norm_of(c);
  p.encoder.positions = p.encoder.token_types = 0;
  p.encoder.norm = p.norm;
  p.encoder.final_norm = p.norm;
  p.encoder.words = "tok_embeddings", p.encoder.norm_name = "norm";
  nn::AttentionSpec& full = p.attention;
  full.qkv_bias = full.out_bias = c.b("attention_bias", false);
  full.q = "q_proj", full.k = "k_proj", full.v = "v_proj", full.o = "Wo";
  full.rope = rope(c, full.head_dim, "full_attention", "global_rope_theta", 160000);
  nn::AttentionSpec local = full;
  local.mask.window = static_cast<int32_t>(c.size("local_attention", 128) / 2 + 1);  // half of it on either side
  local.rope = rope(c, full.head_dim, "sliding_attention", "local_rope_theta", 10000);
  p.mlp.act = activation(c, "hidden_activation");
  p.mlp.bias = c.b("mlp_bias", false);
  p.mlp.gate = "gate_proj", p.mlp.up = "up_proj", p.mlp.down = "Wo";
  auto e = std::make_unique<nn::Encoder>(root, p.encoder);
  const std::vector<bool> is_full = full_layers(c, p.layers);
  for (size_t i = 0; const Scope& s : layers(root / "layers", p.layers)) {
    nn::LayerPtr f = nn::layer<nn::Attention>(s / "attn", is_full[i] ? full : local), g = nn::layer<nn::Mlp>(s / "mlp", p.mlp);
    const nn::NormLayer mlp_norm(s / "mlp_norm", p.norm);
    if (i++ == 0) e->add<FirstLayer>(std::move(f), mlp_norm, std::move(g));
    else e->add<nn::PreNorm>(nn::NormLayer(s / "attn_norm", p.norm), std::move(f), mlp_norm, std::move(g));
  }
  return e;
}

// Every head begins with the same transformation.
nn::HeadSpec head(const Config& c, nn::Task task) {
  const nn::HeadSpec shared{.dense = "head.dense", .act = activation(c, "classifier_activation"), .dense_bias = c.b("classifier_bias", false),
                            .norm_name = "head.norm", .norm = norm_of(c)};
  EncoderHeads heads{.masked_lm = shared, .sequence = shared, .token = shared, .question = shared};
  heads.masked_lm.out = "decoder";
  heads.masked_lm.out_bias = c.b("decoder_bias", true);
  heads.sequence.out = heads.token.out = heads.question.out = "classifier";
  const std::string pooling = c.s("classifier_pooling", "cls");
  c.require(pooling == "cls" || pooling == "mean", "classifier_pooling", "cls or mean");
  if (pooling == "mean") heads.sequence.shape.rows = nn::HeadRows::kMean;
  return encoder_head(c, task, heads);
}

}  // namespace

Family modernbert_family() {
  return {.build = build,
          .rules = {Drop{"head.**"}, Drop{"decoder.**"},
                    Fused{"layers.*.attn.Wqkv.*", {"layers.*.attn.q_proj.*", "layers.*.attn.k_proj.*", "layers.*.attn.v_proj.*"}},
                    Fused{"layers.*.mlp.Wi.*", {"layers.*.mlp.gate_proj.*", "layers.*.mlp.up_proj.*"}}},
          .gguf = modernbert_gguf(),
          .base_prefix = "model",
          .config_keys = encoder_keys({"norm_eps", "norm_bias", "attention_bias", "mlp_bias", "decoder_bias", "classifier_bias",
                                       "classifier_activation", "classifier_pooling", "hidden_activation", "layer_types", "local_attention",
                                       "global_attn_every_n_layers", "global_rope_theta", "local_rope_theta", "rope_parameters"}),
          .head = head};
}

}  // namespace transom
