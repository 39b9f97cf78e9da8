// BeamSearch: see beam_search.h.
#include "engine/beam_search.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "engine/logit_row.h"

namespace transom {
namespace {

constexpr float kNone = -1e9f;  // below all sums of log-probabilities
constexpr float kNever = -std::numeric_limits<float>::infinity();

// The `count` items with the largest score, the first of equal ones first.
template <class Item, class Score>
std::vector<Item> largest(std::vector<Item> items, size_t count, const Score& score) {
  std::stable_sort(items.begin(), items.end(), [&](const Item& a, const Item& b) { return score(a) > score(b); });
  items.resize(std::min(count, items.size()));
  return items;
}

}  // namespace

BeamSearch::BeamSearch(const SamplingParams& params, std::vector<int32_t> prompt, std::vector<int32_t> ends, int32_t vocab_size)
    : params_(params), ends_(std::move(ends)), vocab_size_(vocab_size), prompt_(prompt.size()),
      beams_(static_cast<size_t>(params.beams.num_beams)), rules_(params, prompt.size(), ends_) {
  running_.assign(beams_, Beam{.tokens = prompt, .score = kNone});
  running_[0].score = 0;  // the others are the same: they must not count in the first step
  done_.assign(beams_, Done{.beam = {.tokens = std::move(prompt), .score = kNone}});
}

// The log-probabilities of all continuations after the rules, [beams, vocab].
std::vector<float> BeamSearch::scores(std::span<const float> logits) const {
  const auto vocab = static_cast<size_t>(vocab_size_);
  CHECK(logits.size() == vocab || logits.size() == beams_ * vocab);
  std::vector<float> out(beams_ * vocab);
  for (size_t b = 0; b < beams_; ++b) {
    const std::span<const float> row = logits.size() == vocab ? logits : logits.subspan(b * vocab, vocab);
    const std::span<float> to = std::span(out).subspan(b * vocab, vocab);
    const logit_row::Scan scan = logit_row::scan(row);
    if (!scan.valid) fail(Code::kInvalidArgument, "beam search", "expected finite logits, got NaN or infinity");
    const auto sum = static_cast<float>(logit_row::log_sum_exp(row, scan.max));
    std::transform(row.begin(), row.end(), to.begin(), [&](float x) { return x - sum; });
    for (const auto& [id, bias] : params_.logit_bias) to[static_cast<size_t>(id)] += bias;
    if (params_.repetition_penalty != 1) {
      std::vector<int32_t> seen = running_[b].tokens;
      std::sort(seen.begin(), seen.end());
      seen.erase(std::unique(seen.begin(), seen.end()), seen.end());
      for (const int32_t id : seen) {
        float& x = to[static_cast<size_t>(id)];
        x = x < 0 ? x * params_.repetition_penalty : x / params_.repetition_penalty;
      }
    }
    if (running_[b].tokens.size() - prompt_ < static_cast<size_t>(params_.min_tokens))
      for (const int32_t id : ends_) to[static_cast<size_t>(id)] = kNever;
    rules_.apply(running_[b].tokens, to);
    for (const int32_t id : params_.suppress_tokens) to[static_cast<size_t>(id)] = kNever;
    rules_.apply_timestamps(running_[b].tokens, to);
    for (float& x : to) x += running_[b].score;
  }
  return out;
}

// As many candidates as leave num_beams that go on, whatever ends.
std::vector<BeamSearch::Candidate> BeamSearch::best(const std::vector<float>& scores) const {
  const size_t count = std::min(std::max<size_t>(2, 1 + ends_.size()) * beams_, scores.size());
  std::vector<float> scratch;
  const float bar = logit_row::kth_largest(scores, count, scratch);
  std::vector<Candidate> all;
  const size_t length = running_[0].tokens.size() + 1;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (scores[i] < bar) continue;
    const auto token = static_cast<int32_t>(i % static_cast<size_t>(vocab_size_));
    const bool ended = std::find(ends_.begin(), ends_.end(), token) != ends_.end() || length - prompt_ >= static_cast<size_t>(params_.max_tokens);
    all.push_back({.score = scores[i], .parent = static_cast<int32_t>(i / static_cast<size_t>(vocab_size_)), .token = token, .done = ended});
  }
  return largest(std::move(all), count, [](const Candidate& c) { return c.score; });
}

BeamSearch::Beam BeamSearch::extended(const Candidate& c) const {
  Beam b{.tokens = running_[static_cast<size_t>(c.parent)].tokens, .score = c.score};
  b.tokens.push_back(c.token);
  return b;
}

// Candidates among the num_beams best that are done take the places of worse answers.
void BeamSearch::finish(const std::vector<Candidate>& candidates) {
  using Stop = BeamParams::EarlyStopping;
  const size_t length = running_[0].tokens.size() + 1 - prompt_;
  const auto divisor = static_cast<float>(std::pow(static_cast<double>(length), static_cast<double>(params_.beams.length_penalty)));
  const bool full = params_.beams.early_stopping == Stop::kTrue && std::all_of(done_.begin(), done_.end(), [](const Done& d) { return d.done; });
  std::vector<Done> merged = done_;
  for (size_t i = 0; i < candidates.size(); ++i) {
    Done d{.beam = extended(candidates[i]), .done = candidates[i].done && i < beams_};
    d.beam.score /= divisor;
    for (const bool barred : {full, !improvable_, !d.done})
      if (barred) d.beam.score += kNone;
    merged.push_back(std::move(d));
  }
  done_ = largest(std::move(merged), beams_, [](const Done& d) { return d.beam.score; });
}

// Whether the best beginning may still become better than the worst answer.
bool BeamSearch::can_improve() const {
  const BeamParams& p = params_.beams;
  const bool longest = p.early_stopping == BeamParams::EarlyStopping::kNever && p.length_penalty > 0;
  const size_t length = longest ? static_cast<size_t>(params_.max_tokens) : running_[0].tokens.size() - prompt_;
  const auto divisor = static_cast<float>(std::pow(static_cast<double>(length), static_cast<double>(p.length_penalty)));
  const float possible = running_[0].score / divisor;
  float worst = std::numeric_limits<float>::infinity();
  for (const Done& d : done_) worst = std::min(worst, d.beam.score);
  return std::any_of(done_.begin(), done_.end(), [&](const Done& d) { return possible > (d.done ? worst : kNone); });
}

std::vector<BeamSearch::Next> BeamSearch::advance(std::span<const float> logits) {
  const std::vector<Candidate> candidates = best(scores(logits));
  const std::vector<Candidate> go_on =
      largest(candidates, beams_, [](const Candidate& c) { return c.done ? c.score + kNone : c.score; });
  finish(candidates);
  std::vector<Beam> running;
  std::vector<Next> next;
  for (const Candidate& c : go_on) {
    running.push_back(extended(c));
    if (c.done) running.back().score += kNone;
    next.push_back({c.parent, c.token});
  }
  running_ = std::move(running);
  improvable_ = improvable_ && can_improve();
  const bool all_done = std::all_of(done_.begin(), done_.end(), [](const Done& d) { return d.done; });
  const bool stop = (all_done && params_.beams.early_stopping == BeamParams::EarlyStopping::kTrue) || !improvable_ ||
                    std::all_of(candidates.begin(), candidates.end(), [](const Candidate& c) { return c.done; });
  return stop ? std::vector<Next>{} : next;
}

std::vector<BeamSearch::Answer> BeamSearch::answers() const {
  std::vector<Answer> out;
  for (size_t i = 0; i < static_cast<size_t>(params_.n); ++i) {
    const Beam& b = done_[i].beam;
    out.push_back({.tokens = {b.tokens.begin() + static_cast<std::ptrdiff_t>(prompt_), b.tokens.end()}, .score = b.score});
  }
  return out;
}

}  // namespace transom
