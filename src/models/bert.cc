// BERT (Devlin et al. 2019; transformers modeling_bert): post-norm encoder with learned positions and token types.
#include <cmath>

#include "models/family.h"
#include "nn/attention.h"
#include "nn/mlp.h"

namespace transom {
namespace {

std::unique_ptr<nn::Network> build(const Config& c, const Scope& root) {
  const int64_t hidden = c.size("hidden_size"), heads = c.size("num_attention_heads");
  c.require(hidden % heads == 0, "num_attention_heads", "a divisor of hidden_size");
  const nn::NormSpec norm{.kind = nn::Norm::kLayer, .size = hidden, .eps = c.f("layer_norm_eps", 1e-12), .bias = true};
  const nn::AttentionSpec attention{.hidden = hidden, .heads = heads, .kv_heads = heads, .head_dim = hidden / heads,
                                    .scale = 1 / std::sqrt(static_cast<double>(hidden / heads)), .mask = {.causal = false},
                                    .qkv_bias = true, .out_bias = true,
                                    .q = "self.query", .k = "self.key", .v = "self.value", .o = "output.dense"};
  const nn::MlpSpec mlp{.hidden = hidden, .inner = c.size("intermediate_size"),
                        .act = nn::activation_by_name(c.s("hidden_act", "gelu"), c.origin()), .bias = true,
                        .gate = "", .up = "intermediate.dense", .down = "output.dense"};
  c.require(c.s("position_embedding_type", "absolute") == "absolute", "position_embedding_type", "absolute");
  auto e = std::make_unique<nn::Encoder>(
      root / "embeddings", nn::EncoderSpec{.vocab = c.size("vocab_size"), .hidden = hidden,
                                           .max_positions = c.size("max_position_embeddings"),
                                           .token_types = c.size("type_vocab_size", 2), .norm = norm});
  for (const Scope& s : layers(root / "encoder.layer", c.size("num_hidden_layers")))
    e->add<nn::PostNorm>(nn::layer<nn::Attention>(s / "attention", attention), nn::NormLayer(s / "attention.output.LayerNorm", norm),
                         nn::layer<nn::Mlp>(s, mlp), nn::NormLayer(s / "output.LayerNorm", norm));
  return e;
}

}  // namespace

Family bert_family() {
  return {.build = build,
          .rules = {Drop{"embeddings.position_ids"}, Drop{"bert.embeddings.position_ids"}, Drop{"pooler.**"}, Drop{"bert.pooler.**"}, Drop{"cls.**"}},
          .base_prefix = "bert",
          .config_keys = {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act",
                          "max_position_embeddings", "type_vocab_size", "layer_norm_eps", "position_embedding_type"}};
}

}  // namespace transom
