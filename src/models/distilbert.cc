// DistilBERT (Sanh et al. 2019; transformers modeling_distilbert): BERT without token types, under names of its own.
#include "models/encoder_parts.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  EncoderParts p = encoder_parts(c);
  p.encoder.token_types = 0;
  p.attention.q = "q_lin", p.attention.k = "k_lin", p.attention.v = "v_lin", p.attention.o = "out_lin";
  p.mlp.up = "lin1", p.mlp.down = "lin2";
  for (const char* key : {"sinusoidal_pos_embds", "tie_weights_", "qa_dropout", "seq_classif_dropout"}) c.ignore(key);  // positions are stored
  auto e = std::make_unique<nn::Encoder>(root, p.encoder);
  for (const Scope& s : layers(root / "transformer.layer", p.layers))
    e->add<nn::PostNorm>(nn::layer<nn::Attention>(s / "attention", p.attention), nn::NormLayer(s / "sa_layer_norm", p.norm),
                         nn::layer<nn::Mlp>(s / "ffn", p.mlp), nn::NormLayer(s / "output_layer_norm", p.norm));
  return e;
}

nn::HeadSpec head(const Config& c, nn::Task task) {
  return encoder_head(c, task,
                      {.masked_lm = {.dense = "vocab_transform", .act = activation(c), .norm_name = "vocab_layer_norm", .out = "vocab_projector"},
                       .sequence = {.dense = "pre_classifier", .act = Activation::kRelu, .out = "classifier"}});
}

}  // namespace

Family distilbert_family() {
  return {.build = build,
          .rules = {Drop{"vocab_transform.**"}, Drop{"vocab_layer_norm.**"}, Drop{"vocab_projector.**"}},
          .base_prefix = "distilbert",
          .config_keys = encoder_keys(),
          .head = head,
          .config_aliases = {{"dim", "hidden_size"}, {"n_heads", "num_attention_heads"}, {"n_layers", "num_hidden_layers"},
                             {"hidden_dim", "intermediate_size"}, {"activation", "hidden_act"}}};
}

}  // namespace transom
