// See encoder_parts.h.
#include "models/encoder_parts.h"

#include <cmath>

namespace transom {

Activation activation(const Config& c, const char* key, const char* otherwise) {
  return nn::activation_by_name(c.s(key, otherwise), c.origin());
}

EncoderParts encoder_parts(const Config& c, const char* act) {
  const int64_t hidden = c.size("hidden_size"), heads = c.size("num_attention_heads");
  c.require(hidden % heads == 0, "num_attention_heads", "a divisor of hidden_size");
  c.require(c.s("position_embedding_type", "absolute") == "absolute", "position_embedding_type", "absolute");
  c.ignore("tie_word_embeddings");  // a masked-LM head reads it
  EncoderParts p;
  p.norm = {.kind = nn::Norm::kLayer, .size = hidden, .eps = c.f("layer_norm_eps", 1e-12), .bias = true};
  p.attention = {.hidden = hidden, .heads = heads, .kv_heads = heads, .head_dim = hidden / heads,
                 .scale = 1 / std::sqrt(static_cast<double>(hidden / heads)), .mask = {.causal = false},
                 .qkv_bias = true, .out_bias = true,
                 .q = "self.query", .k = "self.key", .v = "self.value", .o = "output.dense"};
  p.mlp = {.hidden = hidden, .inner = c.size("intermediate_size"), .act = activation(c, "hidden_act", act), .bias = true,
           .gate = "", .up = "intermediate.dense", .down = "output.dense"};
  p.encoder = {.vocab = c.size("vocab_size"), .hidden = hidden, .positions = c.size("max_position_embeddings"),
               .token_types = c.i("type_vocab_size", 2), .padding_id = padding_id(c), .norm = p.norm};
  p.layers = c.size("num_hidden_layers");
  return p;
}

std::vector<std::string_view> encoder_keys(std::initializer_list<std::string_view> more) {
  std::vector<std::string_view> keys = {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
                                        "hidden_act", "max_position_embeddings", "type_vocab_size", "layer_norm_eps",
                                        "position_embedding_type", "tie_word_embeddings"};
  keys.insert(keys.end(), more.begin(), more.end());
  return keys;
}

std::unique_ptr<nn::Encoder> bert_encoder(const Scope& root, const EncoderParts& p) {
  auto e = std::make_unique<nn::Encoder>(root, p.encoder);
  for (const Scope& s : layers(root / "encoder.layer", p.layers))
    e->add<nn::PostNorm>(nn::layer<nn::Attention>(s / "attention", p.attention), nn::NormLayer(s / "attention.output.LayerNorm", p.norm),
                         nn::layer<nn::Mlp>(s, p.mlp), nn::NormLayer(s / "output.LayerNorm", p.norm));
  return e;
}

int64_t label_count(const Config& c) {
  constexpr size_t kMost = 1 << 20;  // bounds what a config can make us allocate
  const Json names = c.raw("id2label");
  if (!names.is_object() || names.empty()) return c.size("num_labels", 2);
  if (names.size() > kMost) fail(Code::kCorrupt, c.origin(), "expected at most {} names in id2label, got {}", kMost, names.size());
  return static_cast<int64_t>(names.size());
}

nn::HeadSpec encoder_head(const Config& c, nn::Task task, const EncoderHeads& heads) {
  nn::HeadSpec h;
  switch (task) {
    case nn::Task::kMaskedLm:
      h = heads.masked_lm;
      h.shape.outputs = c.size("vocab_size");
      h.tied = c.b("tie_word_embeddings", true);
      break;
    case nn::Task::kSequenceClassification:
      h = heads.sequence;
      h.shape.outputs = label_count(c);
      if (h.shape.rows == nn::HeadRows::kEach) h.shape.rows = nn::HeadRows::kFirst;
      break;
    case nn::Task::kTokenClassification:
      h = heads.token;
      h.shape.outputs = label_count(c);
      break;
    case nn::Task::kQuestionAnswering:
      h = heads.question;
      h.shape.outputs = 2;
      break;
    default: fail(Code::kUnsupported, c.origin(), "expected a task that this encoder has a head for, got another");
  }
  h.shape.task = task;
  h.hidden = c.size("hidden_size");
  if (!h.norm_name.empty() && !h.norm)
    h.norm = nn::NormSpec{.kind = nn::Norm::kLayer, .size = h.inner ? h.inner : h.hidden, .eps = c.f("layer_norm_eps", 1e-12), .bias = true};
  return h;
}

nn::HeadSpec roberta_head(const Config& c, nn::Task task) {
  return encoder_head(c, task,
                      {.masked_lm = {.dense = "lm_head.dense", .act = Activation::kGelu, .norm_name = "lm_head.layer_norm",
                                     .out = "lm_head.decoder", .bias = "lm_head.bias"},
                       .sequence = {.dense = "classifier.dense", .act = Activation::kTanh, .out = "classifier.out_proj"}});
}

}  // namespace transom
