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
}

}  // namespace transom
