// RWKV 4 (Peng et al. 2023; transformers modeling_rwkv).
#include "nn/rwkv.h"

#include <cmath>

#include "models/family.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  const int64_t hidden = c.size("hidden_size"), count = c.size("num_hidden_layers");
  const int64_t inner = c.size("attention_hidden_size", hidden), mlp = c.size("intermediate_size", 4 * hidden);
  const nn::NormSpec norm{.kind = nn::Norm::kLayer, .size = hidden, .eps = c.f("layer_norm_epsilon", 1e-5), .bias = true};
  // transformers halves the residual stream after every so many layers, and what is added to it. Norms undo that, but for their
  // eps, which is then added to a quarter of the variance each time.
  const int64_t every = c.i("rescale_every", 6);
  const auto rescaled = [&](nn::NormSpec n, int64_t layer) {
    if (every > 0) n.eps *= std::pow(4.0, static_cast<double>(layer / every));
    return n;
  };
  c.ignore("context_length");  // of training: the state has one size
  nn::NormSpec last = norm;
  last.eps = 1e-5;  // whatever the config says
  auto d = std::make_unique<nn::Decoder>(root, nn::DecoderSpec{.vocab = c.size("vocab_size"), .norm = rescaled(last, count),
                                                               .tied = c.b("tie_word_embeddings", false), .embedding_norm = norm});
  int64_t i = 0;
  for (const Scope& s : layers(root / "model.layers", count)) {
    const nn::NormSpec n = rescaled(norm, i++);
    d->add<nn::PreNorm>(nn::NormLayer(s / "ln1", n), nn::layer<nn::RwkvAttention>(s / "attention", hidden, inner),
                        nn::NormLayer(s / "ln2", n), nn::layer<nn::RwkvFeedForward>(s / "feed_forward", hidden, mlp));
  }
  return d;
}

}  // namespace

Family rwkv_family() {
  return {.build = build,
          .rules = {Rename{"model.embed_tokens.*", "rwkv.embeddings.*"}, Rename{"model.embed_norm.*", "rwkv.blocks.0.pre_ln.*"},
                    Rename{"model.norm.*", "rwkv.ln_out.*"}, Rename{"model.layers.**", "rwkv.blocks.**"}, Rename{"lm_head.*", "head.*"}},
          .gguf = {},
          .base_prefix = "rwkv",
          .config_keys = {"vocab_size", "hidden_size", "num_hidden_layers", "attention_hidden_size", "intermediate_size",
                          "layer_norm_epsilon", "rescale_every", "tie_word_embeddings"}};
}

}  // namespace transom
