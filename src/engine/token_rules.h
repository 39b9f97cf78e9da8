// TokenRules: which tokens may follow by what a sequence holds already: repeated n-grams, bad words, forced and first tokens.
// As transformers' logits processors (generation/logits_process.py) of the same names.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "transom/sampling.h"

namespace transom {

class TokenRules {
 public:
  // `prompt`: tokens before the answer. `ends` are the tokens that end it: no bad words.
  TokenRules(const SamplingParams& params, size_t prompt, std::span<const int32_t> ends);
  bool any() const { return any_; }
  // Scores of what may not follow `tokens` (prompt and answer) become -inf; a forced token's 0, and all others' -inf.
  void apply(std::span<const int32_t> tokens, std::span<float> scores) const;
  // The rule that sees what all others have left.
  void apply_timestamps(std::span<const int32_t> tokens, std::span<float> scores) const;

 private:
  void forbid_ngrams(std::span<const int32_t> tokens, std::span<float> scores) const;
  void forbid_words(std::span<const int32_t> tokens, std::span<float> scores) const;

  size_t ngram_, prompt_, first_, last_;  // lengths at which the first and the last token are chosen
  std::vector<std::vector<int32_t>> words_;
  std::vector<int32_t> not_first_;
  std::optional<int32_t> forced_bos_, forced_eos_;
  std::optional<TimestampRules> timestamps_;
  bool any_;
};

}  // namespace transom
