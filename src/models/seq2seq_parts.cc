// See seq2seq_parts.h.
#include "models/seq2seq_parts.h"

#include <cmath>

#include "nn/cross_attention.h"

namespace transom {
namespace {

SideParts side_parts(const Config& c, const std::string& side, const char* act) {
  const int64_t hidden = c.size("hidden_size"), heads = c.size((side + "_attention_heads").c_str());
  c.require(hidden % heads == 0, (side + "_attention_heads").c_str(), "a divisor of d_model");
  SideParts p;
  p.attention = {.hidden = hidden, .heads = heads, .kv_heads = heads, .head_dim = hidden / heads,
                 .scale = 1 / std::sqrt(static_cast<double>(hidden / heads)), .mask = {.causal = side == "decoder"},
                 .qkv_bias = true, .out_bias = true, .o = "out_proj"};
  p.mlp = {.hidden = hidden, .inner = c.size((side + "_ffn_dim").c_str()),
           .act = nn::activation_by_name(c.s("activation_function", act), c.origin()), .bias = true, .gate = "", .up = "fc1", .down = "fc2"};
  p.layers = c.size((side + "_layers").c_str());
  return p;
}

const Param* positions(const Scope& side, const Seq2SeqParts& p, const Positions& at, int64_t count) {
  const int64_t rows = count + at.offset, hidden = p.norm.size;
  const Scope s = side / "embed_positions";
  if (at.kind == Positions::Kind::kLearned) return s.table("weight", rows, hidden);
  return s.computed("weight", rows, hidden, nn::sinusoids(rows, hidden, at.period > 0 ? at.period : static_cast<double>(hidden) / 2));
}

std::unique_ptr<const nn::Embedder> embedder(const Scope& side, const Seq2SeqParts& p, const Seq2SeqShape& shape, const Param* words,
                                             int64_t count) {
  nn::TokenEmbedderSpec e{.words = words, .scale = p.embedding_scale, .padding_id = p.padding_id,
                          .positions = positions(side, p, shape.positions, count), .position_offset = shape.positions.offset, .norm = {}};
  if (shape.embedding_norm) e.norm.emplace(side / "layernorm_embedding", p.norm);
  return std::make_unique<const nn::TokenEmbedder>(std::move(e));
}

}  // namespace

Seq2SeqParts seq2seq_parts(const Config& c, const char* act) {
  Seq2SeqParts p;
  p.norm = {.kind = nn::Norm::kLayer, .size = c.size("hidden_size"), .eps = 1e-5, .bias = true};
  p.encoder = side_parts(c, "encoder", act);
  p.decoder = side_parts(c, "decoder", act);
  p.encoder.positions = p.decoder.positions = c.size("max_position_embeddings", 1024);
  p.encoder.vocab = p.decoder.vocab = c.size("vocab_size");
  if (c.b("scale_embedding", false)) p.embedding_scale = std::sqrt(static_cast<double>(p.norm.size));
  p.padding_id = padding_id(c);
  for (const char* key : {"activation_dropout", "encoder_layerdrop", "decoder_layerdrop", "init_std"}) c.ignore(key);  // of training
  p.tied = c.b("tie_word_embeddings", true);
  return p;
}

std::vector<std::string_view> seq2seq_keys(std::initializer_list<std::string_view> more) {
  std::vector<std::string_view> keys = {"vocab_size", "hidden_size", "encoder_layers", "decoder_layers", "encoder_attention_heads",
                                        "decoder_attention_heads", "encoder_ffn_dim", "decoder_ffn_dim", "activation_function",
                                        "scale_embedding", "max_position_embeddings", "tie_word_embeddings"};
  keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

void add_blocks(nn::EncoderDecoder& network, const Scope& model, const Seq2SeqParts& p, bool pre_norm) {
  const auto part = [&](const Scope& s, const char* norm, nn::LayerPtr l) { return nn::Sublayer{nn::NormLayer(s / norm, p.norm), std::move(l)}; };
  const auto add = [pre_norm](nn::Side& side, auto... parts) {
    pre_norm ? side.add<nn::PreNormChain>(std::move(parts)...) : side.add<nn::PostNormChain>(std::move(parts)...);
  };
  for (const Scope& s : layers(model / "encoder.layers", p.encoder.layers))
    add(network.encoder(), part(s, "self_attn_layer_norm", nn::layer<nn::Attention>(s / "self_attn", p.encoder.attention)),
        part(s, "final_layer_norm", nn::layer<nn::Mlp>(s, p.encoder.mlp)));
  for (const Scope& s : layers(model / "decoder.layers", p.decoder.layers, p.encoder.layers))
    add(network.decoder(), part(s, "self_attn_layer_norm", nn::layer<nn::Attention>(s / "self_attn", p.decoder.attention)),
        part(s, "encoder_attn_layer_norm", nn::layer<nn::CrossAttention>(s / "encoder_attn", p.decoder.attention)),
        part(s, "final_layer_norm", nn::layer<nn::Mlp>(s, p.decoder.mlp)));
}

std::unique_ptr<nn::Network> seq2seq_network(const Scope& root, const Seq2SeqParts& p, const Seq2SeqShape& shape) {
  const Scope model = root / "model", encoder = model / "encoder", decoder = model / "decoder";
  const Split by_row{Split::Axis::kOut, 1};
  const Param* words = (model / "shared").table("weight", p.decoder.vocab, p.norm.size, by_row);
  const ops::LinearParam head{(root / "lm_head").matrix("weight", p.decoder.vocab, p.norm.size, by_row, p.tied ? words : nullptr),
                              shape.head_bias ? frozen(root.optional_vector("final_logits_bias", p.decoder.vocab, by_row)) : nullptr};
  auto n = std::make_unique<nn::EncoderDecoder>(nn::EncoderDecoderSpec{
      .source = {.vocab = p.encoder.vocab, .positions = p.encoder.positions}, .vocab = p.decoder.vocab, .positions = p.decoder.positions,
      .encoder_layers = p.encoder.layers, .head = head});
  n->encoder().set_embedder(embedder(encoder, p, shape, words, p.encoder.positions));
  n->decoder().set_embedder(embedder(decoder, p, shape, words, p.decoder.positions));
  add_blocks(*n, model, p, shape.pre_norm);
  if (shape.pre_norm) {
    n->encoder().set_norm({encoder / "layer_norm", p.norm});
    n->decoder().set_norm({decoder / "layer_norm", p.norm});
  }
  return n;
}

Family seq2seq_family(std::unique_ptr<nn::Network> (*build)(const Config&, const Scope&), std::initializer_list<std::string_view> more_keys) {
  return {.build = build,
          .rules = {Drop{"model.encoder.embed_tokens.weight"}, Drop{"model.decoder.embed_tokens.weight"},
                    Drop{"encoder.embed_tokens.weight"}, Drop{"decoder.embed_tokens.weight"},
                    Drop{"model.encoder.embed_positions.weights"}, Drop{"model.decoder.embed_positions.weights"}, Drop{"model.*.version"}},
          .gguf = {},
          .base_prefix = "model",
          .config_keys = seq2seq_keys(more_keys),
          .config_aliases = {{"d_model", "hidden_size"}}};
}

}  // namespace transom
