// RoBERTa (Liu et al. 2019; transformers modeling_roberta) and XLM-RoBERTa: BERT's layers; positions count from
// padding_idx + 1. Camembert has the same shape.
#include "models/encoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  EncoderParts p = encoder_parts(c);
  if (p.encoder.padding_id < 0) p.encoder.padding_id = 1;
  p.encoder.position_offset = p.encoder.padding_id + 1;
  c.require(p.encoder.position_offset < p.encoder.positions, "max_position_embeddings", "more than pad_token_id + 1");
  return bert_encoder(root, p);
}

}  // namespace

Family roberta_family() {
  return {.build = build,
          .rules = {Drop{"embeddings.position_ids"}, Drop{"roberta.embeddings.position_ids"}, Drop{"pooler.**"},
                    Drop{"roberta.pooler.**"}, Drop{"lm_head.**"}},
          .base_prefix = "roberta",
          .config_keys = encoder_keys(),
          .head = roberta_head};
}

}  // namespace transom
