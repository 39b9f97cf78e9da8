// BERT (Devlin et al. 2019; transformers modeling_bert): post-norm encoder with learned positions and token types.
#include "models/encoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) { return bert_encoder(root, encoder_parts(c)); }

nn::HeadSpec head(const Config& c, nn::Task task) {
  return encoder_head(c, task,
                      {.masked_lm = {.dense = "cls.predictions.transform.dense", .act = activation(c),
                                     .norm_name = "cls.predictions.transform.LayerNorm", .out = "cls.predictions.decoder",
                                     .bias = "cls.predictions.bias"},
                       .sequence = {.dense = "pooler.dense", .act = Activation::kTanh, .out = "classifier"}});
}

}  // namespace

Family bert_family() {
  return {.build = build,
          .rules = {Drop{"embeddings.position_ids"}, Drop{"bert.embeddings.position_ids"}, Drop{"pooler.**"}, Drop{"bert.pooler.**"}, Drop{"cls.**"}},
          .gguf = bert_gguf(),
          .base_prefix = "bert",
          .config_keys = encoder_keys(),
          .head = head};
}

}  // namespace transom
