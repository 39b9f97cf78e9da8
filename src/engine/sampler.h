// Sampler: chooses the tokens of one sequence from its logits, as SamplingParams say (include/transom/sampling.h).
// It keeps the sequence's history for the penalties; the large buffers lie in a SamplerWorkspace that all sequences of a
// thread share. Tokens depend on (params, seed, choice, step, logits, history) alone: not on the batch, the machine or
// the standard library's random distributions.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/token_rules.h"
#include "transom/sampling.h"

namespace transom {

struct TokenLogprob {
  int32_t id = 0;
  float logprob = 0;
};

struct Sampled {
  int32_t token = 0;
  float logprob = 0;                  // 0 unless params.logprobs >= 0
  std::span<const TokenLogprob> top;  // the most probable first; lies in the workspace until its next use
};

// What is left of the vocabulary after all steps, in order of ids. Probability of entry i: weights[i] / total.
struct TokenDistribution {
  std::span<const int32_t> ids;  // empty: entry i is id i
  std::span<const float> weights;
  double total = 0;
  int32_t id(size_t i) const { return ids.empty() ? static_cast<int32_t>(i) : ids[i]; }
};

// Scratch that Sampler fills; grows at first use, then allocates nothing. One thread at a time.
struct SamplerWorkspace {
  struct Ranked {
    float key, weight;
    int32_t id;
  };
  std::vector<float> scores, weights, kept_weights, values;
  std::vector<int32_t> kept_ids;
  std::vector<double> sums;
  std::vector<Ranked> ranked;
  std::vector<TokenLogprob> top;
};

class Sampler {
 public:
  // Throws Error{kInvalidArgument} for params out of bounds. `prompt` is read by the repetition penalty (ids outside the
  // vocabulary do not count). `eos_ids` end the answer and are held back by min_tokens. `choice` is 0 … n-1.
  Sampler(SamplingParams params, int32_t vocab_size, std::span<const int32_t> prompt = {},
          std::span<const int32_t> eos_ids = {}, uint32_t choice = 0);

  // Chooses from `logits` [vocab_size] and records the choice. Throws Error{kInvalidArgument} naming the token when a
  // logit is NaN or +inf, or when no token is allowed; the sampler is then as it was.
  Sampled next(std::span<const float> logits, SamplerWorkspace& work);

  // The two halves of next(), for callers that choose otherwise (speculation). Greedy params give one token.
  TokenDistribution distribution(std::span<const float> logits, SamplerWorkspace& work) const;
  void accept(int32_t token);

  const SamplingParams& params() const { return params_; }
  uint64_t seed() const { return seed_; }  // the one given, or the one drawn
  int64_t generated() const { return generated_; }
  // Whether `token` ends the answer at the present step (eos unless ignore_eos, or stop_token_ids).
  bool ends(int32_t token) const;

 private:
  struct Seen {
    int32_t id, count;  // count: in the answer; 0 when only the prompt has it
  };
  std::span<const float> edited(std::span<const float> logits, SamplerWorkspace& work) const;
  void edit_penalties(std::span<float> scores) const;
  TokenDistribution warp(std::span<const float> scores, float max, SamplerWorkspace& work) const;
  double keep_top_k(std::span<const float> scores, float max, SamplerWorkspace& work) const;
  double keep_probable(SamplerWorkspace& work) const;
  void cut_top_p(double total, SamplerWorkspace& work) const;
  void cut_typical(SamplerWorkspace& work) const;
  int32_t draw(const TokenDistribution& d, SamplerWorkspace& work) const;
  void report(std::span<const float> logits, SamplerWorkspace& work, Sampled& out) const;
  [[noreturn]] void reject(std::span<const float> scores) const;

  SamplingParams params_;
  int32_t vocab_size_;
  std::vector<int32_t> ends_;  // ids that end the answer, ascending
  std::vector<Seen> seen_;     // by id; empty when no penalty is on
  TokenRules rules_;
  std::vector<int32_t> history_;  // prompt and answer; empty when no rule reads it
  bool penalties_;
  uint32_t choice_;
  uint64_t seed_;
  int64_t generated_ = 0;
};

}  // namespace transom
