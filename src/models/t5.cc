// T5 (Raffel et al. 2020), its v1.1 with Flan-T5, and mT5 (Xue et al. 2021); transformers modeling_t5, modeling_mt5: pre-norm with
// RMSNorm, unscaled scores with a relative position bias that the blocks of a side share, no biases.
#include <cmath>

#include "models/seq2seq_parts.h"
#include "nn/attention.h"
#include "nn/cross_attention.h"
#include "nn/encoder_decoder.h"
#include "nn/mlp.h"

namespace transom {
namespace {

struct Parts {
  nn::NormSpec norm;
  nn::AttentionSpec attention;
  nn::MlpSpec mlp;
  int64_t buckets = 0, max_distance = 0;
};

// "relu", "gated-gelu": gated or not, and the activation; a gated gelu is the tanh one.
nn::MlpSpec feed_forward(const Config& c) {
  const std::string kind = c.s("feed_forward_proj", "relu");
  const bool gated = kind.starts_with("gated-");
  nn::MlpSpec m{.hidden = c.size("hidden_size"), .inner = c.size("d_ff"), .gate = gated ? "wi_0" : "", .up = gated ? "wi_1" : "wi", .down = "wo"};
  m.act = nn::activation_by_name(kind == "gated-gelu" ? "gelu_new" : gated ? kind.substr(6) : kind, c.origin());
  return m;
}

Parts parts(const Config& c) {
  Parts p;
  p.norm = {.size = c.size("hidden_size"), .eps = c.f("layer_norm_epsilon", 1e-6)};
  p.attention = {.hidden = p.norm.size, .heads = c.size("num_heads"), .kv_heads = c.size("num_heads"), .head_dim = c.size("d_kv"), .scale = 1,
                 .q = "q", .k = "k", .v = "v", .o = "o"};
  p.mlp = feed_forward(c);
  p.buckets = c.size("relative_attention_num_buckets", 32);
  p.max_distance = c.size("relative_attention_max_distance", 128);
  c.require(p.buckets >= 4 && p.buckets <= 4096, "relative_attention_num_buckets", "from 4 to 4096");
  c.require(p.max_distance > p.buckets / 2 && p.max_distance <= 1 << 20, "relative_attention_max_distance", "more than half of the buckets");
  for (const char* key : {"dense_act_fn", "is_gated_act", "n_positions", "num_hidden_layers",  // said by other keys
                          "dropout_rate", "initializer_factor"})
    c.ignore(key);
  return p;
}

// The self-attention of a side; its first block holds the table that all of them use.
nn::AttentionSpec self_attention(const Scope& side, const Parts& p, bool causal) {
  nn::AttentionSpec a = p.attention;
  a.mask.causal = causal;
  const Param* table = (side / "block.0.layer.0.SelfAttention.relative_attention_bias").table("weight", p.buckets, a.heads);
  a.relative = std::make_shared<nn::RelativeBias>(nn::RelativeBias{table, nn::t5_buckets(p.buckets, p.max_distance, causal)});
  return a;
}

std::unique_ptr<nn::Network> build_with(const Config& c, const Scope& root, bool scaled) {
  const Parts p = parts(c);
  const int64_t vocab = c.size("vocab_size"), layers_in = c.size("num_layers"), layers_out = c.size("num_decoder_layers", layers_in);
  const Split by_row{Split::Axis::kOut, 1};
  const Param* words = (root / "shared").table("weight", vocab, p.norm.size, by_row);
  const bool tied = c.b("tie_word_embeddings", true);
  auto n = std::make_unique<nn::EncoderDecoder>(nn::EncoderDecoderSpec{
      .source = {.vocab = vocab}, .vocab = vocab, .logit_scale = scaled ? 1 / std::sqrt(static_cast<double>(p.norm.size)) : 1,
      .encoder_layers = layers_in, .head = {(root / "lm_head").matrix("weight", vocab, p.norm.size, by_row, tied ? words : nullptr), nullptr}});
  const auto part = [&](const Scope& s, nn::LayerPtr l) { return nn::Sublayer{nn::NormLayer(s / "layer_norm", p.norm), std::move(l)}; };
  const Scope encoder = root / "encoder", decoder = root / "decoder";
  for (nn::Side* side : {&n->encoder(), &n->decoder()})
    side->set_embedder(std::make_unique<const nn::TokenEmbedder>(nn::TokenEmbedderSpec{.words = words, .padding_id = padding_id(c), .norm = {}}));
  const nn::AttentionSpec seen = self_attention(encoder, p, false), past = self_attention(decoder, p, true);
  for (const Scope& s : layers(encoder / "block", layers_in))
    n->encoder().add<nn::PreNormChain>(part(s / "layer.0", nn::layer<nn::Attention>(s / "layer.0.SelfAttention", seen)),
                                       part(s / "layer.1", nn::layer<nn::Mlp>(s / "layer.1.DenseReluDense", p.mlp)));
  for (const Scope& s : layers(decoder / "block", layers_out, layers_in))
    n->decoder().add<nn::PreNormChain>(part(s / "layer.0", nn::layer<nn::Attention>(s / "layer.0.SelfAttention", past)),
                                       part(s / "layer.1", nn::layer<nn::CrossAttention>(s / "layer.1.EncDecAttention", p.attention)),
                                       part(s / "layer.2", nn::layer<nn::Mlp>(s / "layer.2.DenseReluDense", p.mlp)));
  n->encoder().set_norm({encoder / "final_layer_norm", p.norm});
  n->decoder().set_norm({decoder / "final_layer_norm", p.norm});
  return n;
}

// v1.1 scales no logits: older files say so by untying the head, newer ones by a key.
std::unique_ptr<nn::Network> build_t5(const Config& c, const Scope& root) {
  return build_with(c, root, c.b("scale_decoder_outputs", c.b("tie_word_embeddings", true)));
}

std::unique_ptr<nn::Network> build_mt5(const Config& c, const Scope& root) { return build_with(c, root, false); }

Family family(std::unique_ptr<nn::Network> (*build)(const Config&, const Scope&)) {
  return {.build = build,
          .rules = {Drop{"encoder.embed_tokens.weight"}, Drop{"decoder.embed_tokens.weight"},
                    Drop{"decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"}},  // in the first files, of no use
          .gguf = t5_gguf(),
          .config_keys = {"vocab_size", "hidden_size", "d_kv", "d_ff", "num_layers", "num_decoder_layers", "num_heads",
                          "relative_attention_num_buckets", "relative_attention_max_distance", "layer_norm_epsilon", "feed_forward_proj",
                          "tie_word_embeddings", "scale_decoder_outputs"},
          .config_aliases = {{"d_model", "hidden_size"}}};
}

}  // namespace

Family t5_family() { return family(build_t5); }
Family mt5_family() { return family(build_mt5); }

}  // namespace transom
