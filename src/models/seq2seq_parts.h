// What BART's descendants share: the values behind Hugging Face's common config keys, which a family then changes, and the
// encoder-decoder made of them under BART's names.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "models/family.h"
#include "nn/attention.h"
#include "nn/encoder_decoder.h"
#include "nn/mlp.h"

namespace transom {

// One side's blocks.
struct SideParts {
  nn::AttentionSpec attention;  // self-attention
  nn::MlpSpec mlp;
  int64_t layers = 0, positions = 0, vocab = 0;
};

struct Seq2SeqParts {
  nn::NormSpec norm;
  SideParts encoder, decoder;
  double embedding_scale = 1;
  int64_t padding_id = -1;
  bool tied = true;
};

// Where positions come from.
struct Positions {
  enum class Kind : uint8_t { kLearned, kComputed } kind = Kind::kLearned;
  int64_t offset = 0;  // rows before the first token's
  double period = 0;   // of computed ones; 0: half of hidden
};

// What the variants of BART differ in.
struct Seq2SeqShape {
  bool pre_norm = false;        // PreNorm blocks, and a norm after the last; else PostNorm
  bool embedding_norm = false;
  Positions positions;
  bool head_bias = true;        // "final_logits_bias"
};

// Reads the keys of seq2seq_keys(); `act` is the default of activation_function.
Seq2SeqParts seq2seq_parts(const Config& c, const char* act = "gelu");
std::vector<std::string_view> seq2seq_keys(std::initializer_list<std::string_view> more = {});

std::unique_ptr<nn::Network> seq2seq_network(const Scope& root, const Seq2SeqParts& parts, const Seq2SeqShape& shape);

// The encoder's and the decoder's blocks, below "encoder.layers" and "decoder.layers" of `model`.
void add_blocks(nn::EncoderDecoder& network, const Scope& model, const Seq2SeqParts& parts, bool pre_norm);

// The family of a build function over these parts.
Family seq2seq_family(std::unique_ptr<nn::Network> (*build)(const Config&, const Scope&), std::initializer_list<std::string_view> more_keys = {});

// Of a file the family follows from the tensors: a head of its own says v1.1 or mT5. The range of its positions is always 128.
GgufNames t5_gguf();

}  // namespace transom
