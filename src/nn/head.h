// Task heads: what turns hidden states into logits over a vocabulary or over labels. All of them are one shape, given as a
// value: [rows pooled] -> [dense -> activation [-> norm]] -> output.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "nn/linear.h"
#include "nn/norm.h"

namespace transom::nn {

enum class Task : uint8_t {
  kNone,  // hidden states only
  kCausalLm,
  kMaskedLm,
  kSequenceClassification,  // with one label: a reranker's score
  kTokenClassification,
  kQuestionAnswering,         // columns: start and end of the answer
  kReplacedTokenDetection,    // ELECTRA's discriminator
};
// As `transom inspect` shows it: "causal-lm", "masked-lm" … or "none".
std::string_view name(Task task);

// What a head reads of a sequence: all rows, each for itself, or one: the first token's, or the mean of all.
enum class HeadRows : uint8_t { kEach, kFirst, kMean };

// What a network's logits are.
struct HeadShape {
  Task task = Task::kNone;
  int64_t outputs = 0;  // columns
  HeadRows rows = HeadRows::kEach;
};

// Names are below the model's root.
struct HeadSpec {
  HeadShape shape;
  int64_t hidden = 0;
  std::string dense;  // "": none, and no activation and norm either
  int64_t inner = 0;  // rows of dense; 0: hidden
  Activation act = Activation::kTanh;
  bool dense_bias = true;
  std::string norm_name;
  std::optional<NormSpec> norm;
  std::string out;
  bool out_bias = true;
  std::string bias;   // the output's bias where it has a name of its own: "cls.predictions.bias"
  bool tied = false;  // the output may be absent from the checkpoint: the word embedding is used
};

class Head {
 public:
  Head(const Scope& root, const HeadSpec& spec, const Param* words);
  // [n, hidden] -> [n, outputs]
  Tensor forward(Ctx& cx, const Tensor& rows) const;
  const HeadShape& shape() const { return shape_; }

 private:
  HeadShape shape_;
  Activation act_;
  std::optional<Linear> dense_;
  std::optional<NormLayer> norm_;
  ops::LinearParam out_;
};

}  // namespace transom::nn
