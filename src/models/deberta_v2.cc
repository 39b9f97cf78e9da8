// DeBERTa v2 and v3 (He et al. 2021; transformers modeling_deberta_v2): BERT's post-norm layers with disentangled attention.
#include <cmath>

#include "models/encoder_parts.h"
#include "nn/disentangled.h"

namespace transom {
namespace {

// pos_att_type is a list, or "p2c|c2p".
bool has_score(const Config& c, std::string_view kind) {
  const Json types = c.raw("pos_att_type");
  if (types.is_string()) return types.get<std::string>().find(kind) != std::string::npos;
  for (const Json& t : types)
    if (t.is_string() && t.get<std::string>() == kind) return true;
  return false;
}

nn::DisentangledSpec attention(const Config& c, const Scope& encoder, const EncoderParts& p) {
  nn::DisentangledSpec d{.hidden = p.attention.hidden, .heads = p.attention.heads, .head_dim = p.attention.head_dim};
  d.content_to_position = has_score(c, "c2p");
  d.position_to_content = has_score(c, "p2c");
  d.shared_projections = c.b("share_att_key", false);
  d.scale = 1 / std::sqrt(static_cast<double>(d.head_dim * (1 + d.content_to_position + d.position_to_content)));
  c.require(c.b("relative_attention", false), "relative_attention", "true");
  // Both are -1 in files that leave them to their defaults.
  const auto positive = [&](const char* key, int64_t otherwise) {
    const Json n = c.raw(key);
    return n.is_number_integer() && n.get<int64_t>() > 0 ? c.size(key) : otherwise;
  };
  const int64_t positions = positive("max_relative_positions", c.size("max_position_embeddings")), span = positive("position_buckets", 0);
  c.require(span == 0 || (span >= 4 && positions > span / 2 + 1), "position_buckets", "at least 4, and half of it below max_relative_positions");
  nn::Buckets buckets = nn::deberta_buckets(span, positions);
  const Param* table = (encoder / "rel_embeddings").table("weight", buckets.count, d.hidden);
  std::optional<nn::NormLayer> norm;
  if (c.s("norm_rel_ebd", "none").find("layer_norm") != std::string::npos) norm.emplace(encoder / "LayerNorm", p.norm);
  d.relative = std::make_shared<nn::RelativeEmbeddings>(nn::RelativeEmbeddings{table, norm, std::move(buckets)});
  return d;
}

nn::NormSpec norm_of(const Config& c) {
  return {.kind = nn::Norm::kLayer, .size = c.size("hidden_size"), .eps = c.f("layer_norm_eps", 1e-7), .bias = true};
}

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  EncoderParts p = encoder_parts(c);
  p.norm = p.encoder.norm = norm_of(c);
  p.encoder.token_types = c.i("type_vocab_size", 0);
  if (!c.b("position_biased_input", true)) p.encoder.positions = 0;
  c.require(c.i("conv_kernel_size", 0) == 0, "conv_kernel_size", "0");
  c.require(c.i("embedding_size", p.encoder.hidden) == p.encoder.hidden, "embedding_size", "hidden_size");
  c.require(c.i("attention_head_size", p.attention.head_dim) == p.attention.head_dim, "attention_head_size", "hidden_size / num_attention_heads");
  for (const char* key : {"pooler_dropout", "cls_dropout", "pooler_hidden_size"}) c.ignore(key);
  auto e = std::make_unique<nn::Encoder>(root, p.encoder);
  const nn::DisentangledSpec d = attention(c, root / "encoder", p);
  for (const Scope& s : layers(root / "encoder.layer", p.layers))
    e->add<nn::PostNorm>(nn::layer<nn::DisentangledAttention>(s / "attention", d), nn::NormLayer(s / "attention.output.LayerNorm", p.norm),
                         nn::layer<nn::Mlp>(s, p.mlp), nn::NormLayer(s / "output.LayerNorm", p.norm));
  return e;
}

nn::HeadSpec head(const Config& c, nn::Task task) {
  // v2 checkpoints have BERT's masked-LM head ("legacy"), v3's own has other names.
  const std::string base = c.b("legacy", true) ? "cls.predictions" : "lm_predictions.lm_head", transform = c.b("legacy", true) ? base + ".transform" : base;
  return encoder_head(c, task,
                      {.masked_lm = {.dense = transform + ".dense", .act = activation(c), .norm_name = transform + ".LayerNorm",
                                     .norm = norm_of(c), .out = base + ".decoder", .bias = base + ".bias"},
                       .sequence = {.dense = "pooler.dense", .act = activation(c, "pooler_hidden_act"), .out = "classifier"}});
}

}  // namespace

Family deberta_v2_family() {
  return {.build = build,
          .rules = {Drop{"embeddings.position_ids"}, Drop{"deberta.embeddings.position_ids"}, Drop{"embeddings.position_embeddings.weight"},
                    Drop{"deberta.embeddings.position_embeddings.weight"}, Drop{"pooler.**"}, Drop{"cls.**"}, Drop{"lm_predictions.**"},
                    Drop{"mask_predictions.**"}},
          .base_prefix = "deberta",
          .config_keys = encoder_keys({"relative_attention", "max_relative_positions", "position_biased_input", "pos_att_type",
                                       "pooler_hidden_act", "legacy", "position_buckets", "norm_rel_ebd", "share_att_key",
                                       "conv_kernel_size", "embedding_size", "attention_head_size"}),
          .head = head};
}

}  // namespace transom
