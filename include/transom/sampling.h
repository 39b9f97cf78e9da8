// How the next token is chosen. The steps and their order are those of transformers' generate()
// (generation/utils.py, _get_logits_processor), so that a model behaves as its authors tested it; the frequency and
// presence penalties, which transformers lacks, are OpenAI's and stand right after the repetition penalty:
//   logit bias, repetition, frequency and presence penalty, repeated n-grams, bad words, minimum length, forced tokens,
//   suppressed tokens                                                                           (edit single logits)
//   temperature, top-k, top-p, min-p, typical-p                                                 (shape the distribution)
// Each shaping step sees the probabilities that the steps before it left, renormalized. A probability below exp(-87) times
// the largest counts as 0.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace transom {

// Beam search as transformers does it (Sutskever et al. 2014): the num_beams most probable beginnings are extended together; a
// beginning that ends counts by the sum of its tokens' log-probabilities divided by its length to the power of length_penalty.
struct BeamParams {
  int num_beams = 1;         // 1: no beam search
  float length_penalty = 1;  // above 0 favours long answers, below 0 short ones
  // When the search ends: at num_beams answers; when a better one is unlikely; when none can be better.
  enum class EarlyStopping : uint8_t { kTrue, kFalse, kNever } early_stopping = EarlyStopping::kFalse;
};

// Whisper's grammar of timestamps: tokens from `begin` on, each later than those before, in pairs but for the first and the last.
struct TimestampRules {
  int32_t begin = 0, no_timestamps = 0, end_of_text = 0;
  std::optional<int32_t> max_initial;  // the latest that may come first, counted from `begin`
};

struct SamplingParams {
  // Logits are divided by it. Below 1e-5 the choice is greedy: the largest logit after the penalties, the lowest id
  // among equals, and the steps after temperature have no effect. [0, inf)
  float temperature = 1;
  // Keeps the k largest logits, and those equal to the k-th. 0 or -1: off.
  int top_k = 0;
  // Keeps the smallest set of most probable tokens whose probabilities sum to top_p or more: a token stays when those
  // before it sum to less than top_p. Among equals lower ids come first; at least one token stays. [0, 1], 1: off.
  float top_p = 1;
  // Keeps tokens at least min_p times as probable as the most probable one. [0, 1], 0: off.
  float min_p = 0;
  // Locally typical sampling: tokens ordered by | -log p - entropy |, the closest first, are kept until their
  // probabilities sum to typical_p or more (with all equals of the last). (0, 1], 1: off.
  float typical_p = 1;

  // A logit of a token that stands in the prompt or in the answer so far is divided by this when it is positive and
  // multiplied when negative (CTRL, arXiv 1909.05858). (0, inf), 1: off.
  float repetition_penalty = 1;
  // Subtracted from a token's logit: frequency_penalty times its count in the answer so far, presence_penalty once if
  // it occurred there. The prompt does not count. [-2, 2], 0: off.
  float frequency_penalty = 0, presence_penalty = 0;
  // Added to the logits of these ids, before the penalties. [-100, 100] or -inf (never); the last of equal ids counts.
  std::vector<std::pair<int32_t, float>> logit_bias;
  // Ids that are never chosen, and those that are not chosen as the first token.
  std::vector<int32_t> suppress_tokens, begin_suppress_tokens;
  // No n tokens in a row, the prompt's (an encoder-decoder's: the decoder's) included, occur twice. 0: off.
  int no_repeat_ngram_size = 0;
  // Sequences of ids that do not occur.
  std::vector<std::vector<int32_t>> bad_words_ids;
  // The token after a prompt of one token, and the last of max_tokens.
  std::optional<int32_t> forced_bos_token_id, forced_eos_token_id;

  // The same seed gives the same tokens for the same logits, on every machine and in every batch. Absent: drawn from
  // the system for each request. With n > 1 each choice has its own stream of the one seed.
  std::optional<uint64_t> seed;

  // Tokens to generate at most; 0 runs the prompt only.
  int max_tokens = 128;
  // Until this many tokens are generated, ids that end the answer are not chosen and stop strings do not match.
  int min_tokens = 0;
  // The answer ends before the first of these texts (with it, if include_stop_str_in_output). Non-empty UTF-8.
  std::vector<std::string> stop;
  bool include_stop_str_in_output = false;
  // Ids that end the answer besides the model's own end-of-sequence ids.
  std::vector<int32_t> stop_token_ids;
  // The model's end-of-sequence ids are ordinary tokens.
  bool ignore_eos = false;

  // -1: none. N >= 0: the chosen token's log-probability and those of the N most probable tokens, as the model gave
  // them: log-softmax of the logits before any step above (as OpenAI and vLLM report them).
  int logprobs = -1;
  std::optional<TimestampRules> timestamps;
  // Answers to one prompt. With beams: the n best, the best first.
  int n = 1;
  // Takes greedy params: the beams are not sampled.
  BeamParams beams;

  bool greedy() const { return temperature < 1e-5f; }
  // Throws Error{kInvalidArgument} naming the field, the values it may take and what was found. Ids are checked
  // against `vocab_size` when it is given.
  void validate(std::optional<int32_t> vocab_size = {}) const;

 private:
  void validate_beams() const;
};

}  // namespace transom
