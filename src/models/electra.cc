// ELECTRA (Clark et al. 2020; transformers modeling_electra): BERT's layers behind embeddings of a smaller size; a generator
// with a masked-LM head and a discriminator that tells replaced tokens.
#include "models/encoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  EncoderParts p = encoder_parts(c);
  p.encoder.embedding = p.encoder.norm.size = c.size("embedding_size", 128);
  if (p.encoder.embedding != p.encoder.hidden) p.encoder.projection = "embeddings_project";
  for (const char* key : {"summary_type", "summary_use_proj", "summary_activation", "summary_last_dropout"}) c.ignore(key);  // of multiple choice
  return bert_encoder(root, p);
}

nn::HeadSpec head(const Config& c, nn::Task task) {
  if (task == nn::Task::kReplacedTokenDetection)
    return {.shape = {.task = task, .outputs = 1}, .hidden = c.size("hidden_size"), .dense = "discriminator_predictions.dense",
            .act = activation(c), .out = "discriminator_predictions.dense_prediction"};
  return encoder_head(c, task,
                      {.masked_lm = {.dense = "generator_predictions.dense", .inner = c.size("embedding_size", 128), .act = Activation::kGelu,
                                     .norm_name = "generator_predictions.LayerNorm", .out = "generator_lm_head"},
                       .sequence = {.dense = "classifier.dense", .act = Activation::kGelu, .out = "classifier.out_proj"}});
}

}  // namespace

Family electra_family() {
  return {.build = build,
          .rules = {Drop{"embeddings.position_ids"}, Drop{"electra.embeddings.position_ids"}, Drop{"generator_predictions.**"},
                    Drop{"generator_lm_head.**"}, Drop{"discriminator_predictions.**"}},
          .base_prefix = "electra",
          .config_keys = encoder_keys({"embedding_size"}),
          .head = head};
}

}  // namespace transom
