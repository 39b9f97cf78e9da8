// The sampling flags that `generate` and `chat` share, over the model's own defaults.
#pragma once

#include "cli/command.h"
#include "transom/engine.h"

namespace transom::cli {

// Values given on the command line; what is absent is the model's default.
struct SamplingFlags {
  std::optional<float> temperature, top_p, min_p, typical_p, repetition_penalty, frequency_penalty, presence_penalty;
  std::optional<int> top_k, max_tokens, logprobs, n;
  std::optional<uint64_t> seed;
  std::vector<std::string> logit_bias, stop;
  bool ignore_eos = false;
  std::optional<int> num_beams, no_repeat_ngram_size, min_new_tokens, forced_bos_token_id, forced_eos_token_id;
  std::optional<float> length_penalty;
  std::string early_stopping;

  SamplingParams over(const SamplingParams& defaults) const;
};

void add_sampling_flags(CLI::App& command, SamplingFlags& flags);

}  // namespace transom::cli
