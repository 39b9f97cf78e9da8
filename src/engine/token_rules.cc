// TokenRules: see token_rules.h.
#include "engine/token_rules.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace transom {
namespace {

constexpr float kNever = -std::numeric_limits<float>::infinity();

void force(int32_t id, std::span<float> scores) {
  std::fill(scores.begin(), scores.end(), kNever);
  scores[static_cast<size_t>(id)] = 0;
}

}  // namespace

TokenRules::TokenRules(const SamplingParams& p, size_t prompt, std::span<const int32_t> ends)
    : ngram_(static_cast<size_t>(p.no_repeat_ngram_size)), prompt_(prompt), first_(prompt),
      last_(prompt + static_cast<size_t>(p.max_tokens) - 1), not_first_(p.begin_suppress_tokens), forced_bos_(p.forced_bos_token_id),
      forced_eos_(p.forced_eos_token_id), timestamps_(p.timestamps) {
  if (prompt_ == 1 && forced_bos_) ++first_;  // the first token is given
  for (const std::vector<int32_t>& word : p.bad_words_ids)
    if (word.size() > 1 || std::find(ends.begin(), ends.end(), word[0]) == ends.end()) words_.push_back(word);
  any_ = ngram_ > 0 || !words_.empty() || !not_first_.empty() || forced_bos_ || forced_eos_ || timestamps_;
}

void TokenRules::forbid_ngrams(std::span<const int32_t> tokens, std::span<float> scores) const {
  if (ngram_ == 0 || tokens.size() + 1 < ngram_) return;
  const std::span<const int32_t> end = tokens.last(ngram_ - 1);
  for (size_t i = 0; i + ngram_ <= tokens.size(); ++i)
    if (std::equal(end.begin(), end.end(), tokens.begin() + static_cast<std::ptrdiff_t>(i)))
      scores[static_cast<size_t>(tokens[i + ngram_ - 1])] = kNever;
}

void TokenRules::forbid_words(std::span<const int32_t> tokens, std::span<float> scores) const {
  for (const std::vector<int32_t>& word : words_) {
    if (word.size() > 1 && word.size() > tokens.size()) continue;
    if (std::equal(word.begin(), word.end() - 1, tokens.end() - static_cast<std::ptrdiff_t>(word.size() - 1)))
      scores[static_cast<size_t>(word.back())] = kNever;
  }
}

void TokenRules::apply(std::span<const int32_t> tokens, std::span<float> scores) const {
  forbid_ngrams(tokens, scores);
  forbid_words(tokens, scores);
  if (forced_bos_ && tokens.size() == 1) force(*forced_bos_, scores);
  if (forced_eos_ && tokens.size() == last_) force(*forced_eos_, scores);
  if (tokens.size() == first_)
    for (const int32_t id : not_first_) scores[static_cast<size_t>(id)] = kNever;
}

void TokenRules::apply_timestamps(std::span<const int32_t> tokens, std::span<float> scores) const {
  if (!timestamps_) return;
  const TimestampRules& t = *timestamps_;
  const std::span<const int32_t> answer = tokens.subspan(prompt_);
  const auto never = [&](int64_t first, int64_t last) {
    const auto size = static_cast<int64_t>(scores.size());
    std::fill(scores.begin() + std::min(first, size), scores.begin() + std::clamp(last, std::min(first, size), size), kNever);
  };
  const auto is_time = [&](size_t back) { return answer.size() >= back && answer[answer.size() - back] >= t.begin; };
  scores[static_cast<size_t>(t.no_timestamps)] = kNever;
  const bool last = is_time(1), before = answer.size() < 2 || is_time(2);
  if (last && before) never(t.begin, static_cast<int64_t>(scores.size()));  // after a pair: text
  if (last && !before) never(0, t.end_of_text);                            // the pair is completed, or the text ends
  int64_t earliest = t.begin;
  for (const int32_t id : answer)
    if (id >= t.begin) earliest = id + (last && !before ? 0 : 1);
  never(t.begin, earliest);
  if (answer.empty()) {
    never(0, t.begin);
    if (t.max_initial) never(t.begin + int64_t{*t.max_initial} + 1, static_cast<int64_t>(scores.size()));
  }
  // When a timestamp is likelier than every other token, one is taken.
  const auto times = scores.begin() + t.begin;
  const float best = *std::max_element(times, scores.end()), text = *std::max_element(scores.begin(), times);
  if (best == kNever) return;
  double sum = 0;
  for (auto it = times; it != scores.end(); ++it) sum += std::exp(double{*it} - best);
  if (best + std::log(sum) > text) never(0, t.begin);
}

}  // namespace transom
