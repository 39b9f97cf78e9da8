// BeamSearch: the choices of a beam search over one prompt, from rows of logits: which beginnings go on, which answers are done, and
// when to stop. Pure logic; the meaning and the order of all sums are those of transformers' _beam_search.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/token_rules.h"
#include "transom/sampling.h"

namespace transom {

class BeamSearch {
 public:
  // `ends`: the tokens that end an answer; at most params.max_tokens are chosen.
  BeamSearch(const SamplingParams& params, std::vector<int32_t> prompt, std::vector<int32_t> ends, int32_t vocab_size);

  // The beginnings that go on: each is beginning `parent` of the last step with `token` behind it.
  struct Next {
    int32_t parent = 0, token = 0;
  };
  // One step: a row of logits [vocab_size] for each beginning, or a single row in the first step. Empty: the search is done.
  // Error{kInvalidArgument} for a logit that is NaN or +inf.
  std::vector<Next> advance(std::span<const float> logits);

  struct Answer {
    std::vector<int32_t> tokens;  // without the prompt; the token that ended it included
    float score = 0;
  };
  // The params.n best, the best first; after advance() gave nothing.
  std::vector<Answer> answers() const;

 private:
  struct Beam {
    std::vector<int32_t> tokens;  // with the prompt
    float score = 0;
  };
  struct Candidate {
    float score = 0;  // sum of log-probabilities
    int32_t parent = 0, token = 0;
    bool done = false;
  };
  struct Done {
    Beam beam;
    bool done = false;
  };
  std::vector<float> scores(std::span<const float> logits) const;
  std::vector<Candidate> best(const std::vector<float>& scores) const;
  void finish(const std::vector<Candidate>& candidates);
  bool can_improve() const;
  Beam extended(const Candidate& c) const;

  SamplingParams params_;
  std::vector<int32_t> ends_;
  int32_t vocab_size_;
  size_t prompt_, beams_;
  TokenRules rules_;
  std::vector<Beam> running_;
  std::vector<Done> done_;   // num_beams of them, those that are not done with a score below all others'
  bool improvable_ = true;
};

}  // namespace transom
