// Sentence embeddings as the model's own files say: tokenizer, longest text, pooling and normalisation (sentence-transformers'
// modules.json, 1_Pooling/config.json, sentence_bert_config.json, config_sentence_transformers.json), or as a GGUF file's
// pooling_type says.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "transom/engine.h"

namespace transom {

enum class Pooling : uint8_t { kAuto, kMean, kCls, kLast, kNone };

struct EmbedOptions {
  Pooling pooling = Pooling::kAuto;
  std::optional<bool> normalize;  // absent: as the model's files say (no files: true)
  // What stands before each text: `prompt` itself, or the model's prompt of this name; neither: the model's default prompt, if it
  // has one. Texts given as ids get none.
  std::optional<std::string> prompt;
  std::string prompt_name;
};

// What a model's files say about embeddings; without them: mean and normalized.
struct SentenceSettings {
  Pooling pooling = Pooling::kMean;
  bool normalize = true;
  bool pool_prompt = true;  // the mean is over the prompt's tokens too
  int64_t max_tokens = 0;
  std::map<std::string, std::string> prompts;  // by name
  std::string default_prompt;                  // a name; "" for none
};

class Embedder {
 public:
  explicit Embedder(Model model);  // the tokenizer is loaded when texts are given

  // [N, hidden] for N texts, or with Pooling::kNone the rows of all tokens of all texts. Error{kNotFound} for a prompt_name that the
  // model's files do not have.
  Matrix embed(std::span<const std::string> texts, const EmbedOptions& options = {});
  Matrix embed_ids(std::span<const std::vector<int32_t>> texts, const EmbedOptions& options = {});

  int64_t max_tokens() const { return settings_.max_tokens; }
  const std::map<std::string, std::string>& prompts() const { return settings_.prompts; }

 private:
  Matrix pooled(std::span<const std::vector<int32_t>> texts, int64_t prompt_tokens, const EmbedOptions& options);

  Engine engine_;
  std::optional<Tokenizer> tokenizer_;
  SentenceSettings settings_;
};

}  // namespace transom
