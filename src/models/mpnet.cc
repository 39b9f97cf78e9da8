// MPNet (Song et al. 2020; transformers modeling_mpnet): BERT's layers with a relative position bias that all layers share;
// positions count from padding_idx + 1.
#include "models/encoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  constexpr int64_t kBuckets = 32, kMaxDistance = 128;  // transformers' code has them; the config gives the table's rows alone
  EncoderParts p = encoder_parts(c);
  p.encoder.token_types = 0;
  p.encoder.padding_id = 1;
  p.encoder.position_offset = 2;
  c.require(p.encoder.positions > 2, "max_position_embeddings", "more than 2");
  const int64_t rows = c.size("relative_attention_num_buckets", kBuckets);
  c.require(rows >= kBuckets, "relative_attention_num_buckets", "at least 32");
  const Param* table = (root / "encoder.relative_attention_bias").table("weight", rows, p.attention.heads);
  p.attention.relative = std::make_shared<nn::RelativeBias>(nn::RelativeBias{table, nn::t5_buckets(kBuckets, kMaxDistance)});
  p.attention.q = "q", p.attention.k = "k", p.attention.v = "v", p.attention.o = "o";
  auto e = std::make_unique<nn::Encoder>(root, p.encoder);
  for (const Scope& s : layers(root / "encoder.layer", p.layers))
    e->add<nn::PostNorm>(nn::layer<nn::Attention>(s / "attention.attn", p.attention), nn::NormLayer(s / "attention.LayerNorm", p.norm),
                         nn::layer<nn::Mlp>(s, p.mlp), nn::NormLayer(s / "output.LayerNorm", p.norm));
  return e;
}

}  // namespace

Family mpnet_family() {
  return {.build = build,
          .rules = {Drop{"embeddings.position_ids"}, Drop{"mpnet.embeddings.position_ids"}, Drop{"pooler.**"}, Drop{"mpnet.pooler.**"},
                    Drop{"lm_head.**"}},
          .base_prefix = "mpnet",
          .config_keys = encoder_keys({"relative_attention_num_buckets"}),
          .head = roberta_head};
}

}  // namespace transom
