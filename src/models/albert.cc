// ALBERT (Lan et al. 2020; transformers modeling_albert): embeddings of a smaller size, and few blocks that run many times:
// the layers of a group share their parameters.
#include "models/encoder_parts.h"

namespace transom {
namespace {

// Layer i runs all blocks of its group.
std::vector<int32_t> order(int64_t layers, int64_t groups, int64_t inner) {
  const double per_group = static_cast<double>(layers) / static_cast<double>(groups);
  std::vector<int32_t> blocks;
  for (int64_t i = 0; i < layers; ++i) {
    const auto group = static_cast<int64_t>(static_cast<double>(i) / per_group);
    for (int64_t j = 0; j < inner; ++j) blocks.push_back(static_cast<int32_t>(group * inner + j));
  }
  return blocks;
}

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  EncoderParts p = encoder_parts(c, "gelu_new");
  p.encoder.embedding = p.encoder.norm.size = c.size("embedding_size", 128);
  p.encoder.projection = "encoder.embedding_hidden_mapping_in";
  p.attention.q = "query", p.attention.k = "key", p.attention.v = "value", p.attention.o = "dense";
  p.mlp.up = "ffn", p.mlp.down = "ffn_output";
  const int64_t groups = c.size("num_hidden_groups", 1), inner = c.size("inner_group_num", 1);
  c.require(groups <= p.layers, "num_hidden_groups", "at most num_hidden_layers");
  c.ignore("classifier_dropout_prob");
  auto e = std::make_unique<nn::Encoder>(root, p.encoder);
  for (int32_t i = 0; const Scope& group : layers(root / "encoder.albert_layer_groups", groups))
    for (const Scope& layer : layers(group / "albert_layers", inner)) {
      const Scope s = layer.in_block(i++);
      e->add<nn::PostNorm>(nn::layer<nn::Attention>(s / "attention", p.attention), nn::NormLayer(s / "attention.LayerNorm", p.norm),
                           nn::layer<nn::Mlp>(s, p.mlp), nn::NormLayer(s / "full_layer_layer_norm", p.norm));
    }
  e->set_order(order(p.layers, groups, inner));
  return e;
}

nn::HeadSpec head(const Config& c, nn::Task task) {
  return encoder_head(c, task,
                      {.masked_lm = {.dense = "predictions.dense", .inner = c.size("embedding_size", 128),
                                     .act = activation(c, "hidden_act", "gelu_new"), .norm_name = "predictions.LayerNorm",
                                     .out = "predictions.decoder", .bias = "predictions.bias"},
                       .sequence = {.dense = "pooler", .act = Activation::kTanh, .out = "classifier"}});
}

}  // namespace

Family albert_family() {
  return {.build = build,
          .rules = {Drop{"embeddings.position_ids"}, Drop{"albert.embeddings.position_ids"}, Drop{"pooler.**"}, Drop{"albert.pooler.**"},
                    Drop{"predictions.**"}, Drop{"sop_classifier.**"}},
          .base_prefix = "albert",
          .config_keys = encoder_keys({"embedding_size", "num_hidden_groups", "inner_group_num"}),
          .head = head};
}

}  // namespace transom
