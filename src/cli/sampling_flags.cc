// Sampling flags: see sampling_flags.h.
#include "cli/sampling_flags.h"

#include <algorithm>
#include <charconv>

#include "transom/error.h"

namespace transom::cli {
namespace {

// "ID=V"
std::pair<int32_t, float> parse_bias(const std::string& text) {
  const size_t equals = text.find('=');
  int32_t id = 0;
  float value = 0;
  const char* const mid = text.data() + std::min(equals, text.size());
  const char* const end = text.data() + text.size();
  if (equals == std::string::npos || std::from_chars(text.data(), mid, id).ptr != mid || mid + 1 >= end ||
      std::from_chars(mid + 1, end, value).ptr != end)
    throw UsageError("--logit-bias: expected ID=VALUE, got " + text);
  return {id, value};
}

}  // namespace

SamplingParams SamplingFlags::over(const SamplingParams& defaults) const {
  SamplingParams p = defaults;
  const auto set = [](auto& to, const auto& from) {
    if (from) to = *from;
  };
  set(p.temperature, temperature);
  set(p.top_p, top_p);
  set(p.min_p, min_p);
  set(p.typical_p, typical_p);
  set(p.top_k, top_k);
  set(p.repetition_penalty, repetition_penalty);
  set(p.frequency_penalty, frequency_penalty);
  set(p.presence_penalty, presence_penalty);
  set(p.max_tokens, max_tokens);
  set(p.logprobs, logprobs);
  set(p.n, n);
  if (seed) p.seed = seed;
  for (const std::string& b : logit_bias) p.logit_bias.push_back(parse_bias(b));
  p.stop.insert(p.stop.end(), stop.begin(), stop.end());
  p.ignore_eos = ignore_eos;
  set(p.no_repeat_ngram_size, no_repeat_ngram_size);
  set(p.min_tokens, min_new_tokens);
  if (max_tokens) p.min_tokens = std::min(p.min_tokens, p.max_tokens);
  if (forced_bos_token_id) p.forced_bos_token_id = forced_bos_token_id;
  if (forced_eos_token_id) p.forced_eos_token_id = forced_eos_token_id;
  set(p.beams.length_penalty, length_penalty);
  using Stop = BeamParams::EarlyStopping;
  if (!early_stopping.empty()) p.beams.early_stopping = early_stopping == "never" ? Stop::kNever : early_stopping == "true" ? Stop::kTrue : Stop::kFalse;
  if (num_beams) {
    p.beams.num_beams = *num_beams;
    if (*num_beams > 1 && !temperature) p.temperature = 0;  // the model's default is not the caller's wish
  } else if (!p.greedy() || seed || !p.stop.empty() || p.logprobs >= 0 || p.n > p.beams.num_beams) {
    p.beams.num_beams = 1;  // the model's beams give way to what they cannot do
  }
  return p;
}

void add_sampling_flags(CLI::App& c, SamplingFlags& f) {
  constexpr const char* kGroup = "Sampling (defaults: the model's own, see inspect)";
  const auto add = [&](const char* flag, auto& target, const char* description, const char* type) {
    return c.add_option(flag, target, description)->type_name(type)->allow_extra_args(false)->group(kGroup);
  };
  add("--max-tokens", f.max_tokens, "Tokens to generate at most", "N");
  add("--temperature", f.temperature, "Logits are divided by it; 0 is greedy", "T");
  add("--top-k", f.top_k, "Keep the K most probable tokens; 0: all", "K");
  add("--top-p", f.top_p, "Keep the most probable tokens that sum to P", "P");
  add("--min-p", f.min_p, "Keep tokens at least P times as probable as the best", "P");
  add("--typical-p", f.typical_p, "Locally typical sampling up to mass P", "P");
  add("--repetition-penalty", f.repetition_penalty, "Divides the logits of tokens seen; 1: off", "R");
  add("--frequency-penalty", f.frequency_penalty, "Subtracted for each time a token occurred in the answer", "R");
  add("--presence-penalty", f.presence_penalty, "Subtracted once if a token occurred in the answer", "R");
  add("--logit-bias", f.logit_bias, "Add V to the logit of token ID (repeatable)", "ID=V");
  add("--seed", f.seed, "The same seed gives the same text", "S");
  add("--stop", f.stop, "End before this text (repeatable)", "TEXT");
  add("--logprobs", f.logprobs, "Log-probabilities of the chosen and the N best tokens", "N");
  add("--n", f.n, "Answers to one prompt", "N");
  c.add_flag("--ignore-eos", f.ignore_eos, "End tokens are ordinary tokens")->group(kGroup);
  add("--num-return-sequences", f.n, "The same as --n", "N");
  add("--min-new-tokens", f.min_new_tokens, "Tokens before which the text does not end", "N");
  add("--no-repeat-ngram-size", f.no_repeat_ngram_size, "No N tokens in a row occur twice; 0: off", "N");
  add("--forced-bos-token-id", f.forced_bos_token_id, "The token after a prompt of one token", "ID");
  add("--forced-eos-token-id", f.forced_eos_token_id, "The last token of --max-tokens", "ID");
  add("--num-beams", f.num_beams, "Beam search with N beams; 1: none", "N");
  add("--length-penalty", f.length_penalty, "Of beam search: above 0 favours long texts", "L");
  add("--early-stopping", f.early_stopping, "When beam search ends: at N texts, when a better one is unlikely, or impossible", "true|false|never")
      ->check(CLI::IsMember({"true", "false", "never"}));
}

}  // namespace transom::cli
