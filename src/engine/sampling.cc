// Bounds of SamplingParams; see sampling.h for the meaning of each field.
#include "transom/sampling.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/utf8.h"

namespace transom {
namespace {

constexpr std::string_view kWhere = "sampling parameters";

void check(bool right, std::string_view field, std::string_view expected, double got) {
  if (!right) fail(Code::kInvalidArgument, kWhere, "{}: expected {}, got {}", field, expected, got);
}

void check_ids(const std::vector<int32_t>& ids, std::string_view field, std::optional<int32_t> vocab_size) {
  for (int32_t id : ids)
    if (id < 0 || id >= vocab_size.value_or(std::numeric_limits<int32_t>::max()))
      fail(Code::kInvalidArgument, kWhere, "{}: expected token ids below {}, got {}", field,
           vocab_size.value_or(std::numeric_limits<int32_t>::max()), id);
}

}  // namespace

void SamplingParams::validate(std::optional<int32_t> vocab_size) const {
  // Written so that NaN fails each of them.
  check(temperature >= 0 && std::isfinite(temperature), "temperature", "a finite number >= 0", temperature);
  check(top_k >= -1, "top_k", "a whole number >= 0 (0 or -1: off)", top_k);
  check(top_p >= 0 && top_p <= 1, "top_p", "a number in [0, 1]", top_p);
  check(min_p >= 0 && min_p <= 1, "min_p", "a number in [0, 1]", min_p);
  check(typical_p > 0 && typical_p <= 1, "typical_p", "a number in (0, 1]", typical_p);
  check(repetition_penalty > 0 && std::isfinite(repetition_penalty), "repetition_penalty", "a finite number > 0",
        repetition_penalty);
  check(std::abs(frequency_penalty) <= 2, "frequency_penalty", "a number in [-2, 2]", frequency_penalty);
  check(std::abs(presence_penalty) <= 2, "presence_penalty", "a number in [-2, 2]", presence_penalty);
  for (const auto& [id, bias] : logit_bias) {
    check_ids({id}, "logit_bias", vocab_size);
    check(std::abs(bias) <= 100 || bias == -std::numeric_limits<float>::infinity(), "logit_bias",
          "a number in [-100, 100] or -inf", bias);
  }
  check_ids(suppress_tokens, "suppress_tokens", vocab_size);
  check_ids(stop_token_ids, "stop_token_ids", vocab_size);
  check(max_tokens >= 0, "max_tokens", "a whole number >= 0", max_tokens);
  check(min_tokens >= 0 && min_tokens <= max_tokens, "min_tokens", "a whole number from 0 to max_tokens", min_tokens);
  for (const std::string& s : stop)
    if (s.empty() || !valid_utf8(s))
      fail(Code::kInvalidArgument, kWhere, "stop: expected non-empty UTF-8 strings, got {}", quote(s));
  check(logprobs >= -1, "logprobs", "a whole number >= 0 (-1: none)", logprobs);
  check(n >= 1, "n", "a whole number >= 1", n);
  check_ids(begin_suppress_tokens, "begin_suppress_tokens", vocab_size);
  check(no_repeat_ngram_size >= 0, "no_repeat_ngram_size", "a whole number >= 0 (0: off)", no_repeat_ngram_size);
  for (const std::vector<int32_t>& word : bad_words_ids) {
    check(!word.empty(), "bad_words_ids", "lists of at least one id", 0);
    check_ids(word, "bad_words_ids", vocab_size);
  }
  if (forced_bos_token_id) check_ids({*forced_bos_token_id}, "forced_bos_token_id", vocab_size);
  if (forced_eos_token_id) check_ids({*forced_eos_token_id}, "forced_eos_token_id", vocab_size);
  if (timestamps) {
    check_ids({timestamps->no_timestamps, timestamps->begin, timestamps->end_of_text}, "timestamps", vocab_size);
    check(!timestamps->max_initial || *timestamps->max_initial >= 0, "timestamps", "a first one of at least 0", timestamps->max_initial.value_or(0));
  }
  validate_beams();
}

void SamplingParams::validate_beams() const {
  constexpr int kMost = 1024;
  check(beams.num_beams >= 1 && beams.num_beams <= kMost, "num_beams", "a whole number from 1 to 1024", beams.num_beams);
  check(std::isfinite(beams.length_penalty), "length_penalty", "a finite number", beams.length_penalty);
  if (beams.num_beams == 1) return;
  check(greedy(), "temperature", "0 with beams (they are not sampled)", temperature);
  check(!seed, "seed", "none with beams (they are not sampled)", static_cast<double>(seed.value_or(0)));
  check(n <= beams.num_beams, "n", "at most num_beams", n);
  check(stop.empty(), "stop", "no stop strings with beams", static_cast<double>(stop.size()));
  check(logprobs < 0, "logprobs", "none with beams", logprobs);
  check(frequency_penalty == 0, "frequency_penalty", "0 with beams", frequency_penalty);
  check(presence_penalty == 0, "presence_penalty", "0 with beams", presence_penalty);
}

}  // namespace transom
