// What BERT's descendants share: the values behind Hugging Face's common config keys, which a family then changes, the layers
// under BERT's names, and the heads whose names are the same nearly everywhere.
#pragma once

#include <memory>
#include <vector>

#include "models/family.h"
#include "nn/attention.h"
#include "nn/encoder.h"
#include "nn/mlp.h"

namespace transom {

struct EncoderParts {
  nn::NormSpec norm;
  nn::AttentionSpec attention;
  nn::MlpSpec mlp;
  nn::EncoderSpec encoder;
  int64_t layers = 0;
};

// Reads the keys of encoder_keys(); the defaults are BERT's. Names are those of BERT's layers.
EncoderParts encoder_parts(const Config& c, const char* act = "gelu");

// The config keys that encoder_parts reads, and `more`.
std::vector<std::string_view> encoder_keys(std::initializer_list<std::string_view> more = {});

// GGUF's names of bert_encoder's parameters, and all of it of families whose layers have other names.
Rules gguf_encoder_rules();
GgufNames bert_gguf(), modernbert_gguf(), nomic_bert_gguf();

// The encoder with PostNorm layers under BERT's names, below root / "encoder.layer".
std::unique_ptr<nn::Encoder> bert_encoder(const Scope& root, const EncoderParts& parts);

// The names and shape of what comes before a head's output; sizes, label counts and norm are filled in by encoder_head.
struct EncoderHeads {
  nn::HeadSpec masked_lm, sequence, token = {.out = "classifier"}, question = {.out = "qa_outputs"};
};
// The head of `task`: masked_lm over the vocabulary, sequence over a text's labels (its first row, or the mean), token over each token's labels,
// question over each token's start and end. Error{kUnsupported} for another task.
nn::HeadSpec encoder_head(const Config& c, nn::Task task, const EncoderHeads& heads);
// The same under the names of RoBERTa's heads.
nn::HeadSpec roberta_head(const Config& c, nn::Task task);

// The activation under `key`.
Activation activation(const Config& c, const char* key = "hidden_act", const char* otherwise = "gelu");

// id2label's size, or num_labels; 2 when the config has neither.
int64_t label_count(const Config& c);

}  // namespace transom
