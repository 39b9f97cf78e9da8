// Sentence embeddings as the model's own files say: tokenizer, longest text, pooling and normalisation (sentence-transformers'
// modules.json, 1_Pooling/config.json, sentence_bert_config.json).
#pragma once

#include <span>
#include <string>
#include <vector>

#include "transom/engine.h"

namespace transom {

enum class Pooling : uint8_t { kAuto, kMean, kCls, kLast, kNone };

struct EmbedOptions {
  Pooling pooling = Pooling::kAuto;
  std::optional<bool> normalize;  // absent: as the model's files say (no files: true)
};

class Embedder {
 public:
  explicit Embedder(Model model);  // the tokenizer is loaded when texts are given

  // [N, hidden] for N texts, or with Pooling::kNone the rows of all tokens of all texts.
  Matrix embed(std::span<const std::string> texts, const EmbedOptions& options = {});
  Matrix embed_ids(std::span<const std::vector<int32_t>> texts, const EmbedOptions& options = {});

  int64_t max_tokens() const { return max_tokens_; }

 private:
  Engine engine_;
  std::optional<Tokenizer> tokenizer_;
  Pooling pooling_ = Pooling::kMean;
  bool normalize_ = true;
  int64_t max_tokens_ = 0;
};

}  // namespace transom
