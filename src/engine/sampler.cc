// See sampler.h and include/transom/sampling.h. Only what a step needs is computed: greedy is one scan; top-k selects
// before any exponential; nothing is ever sorted but the few reported log-probabilities. A cut by probability mass
// (top-p, typical) is a weighted quickselect: expected linear time.
#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

#include "base/error.h"
#include "engine/logit_row.h"
#include "engine/philox.h"

namespace transom {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

uint64_t seed_of_system() {
  std::random_device device;
  return uint64_t{device()} << 32 | device();
}

// The item at which the running weight of `items`, ordered by key (largest first, lower ids first among equals), first
// reaches `target`; null when all of them stay below it. Reorders `items`.
template <class Item>
const Item* weighted_select(std::span<Item> items, double target) {
  const auto before = [](const Item& a, const Item& b) { return a.key > b.key || (a.key == b.key && a.id < b.id); };
  double above = 0;  // weight of the items known to stand before `items`
  uint32_t random = 1;
  while (!items.empty()) {
    random = random * 1664525u + 1013904223u;
    std::swap(items[(uint64_t{random} * items.size()) >> 32], items.back());
    size_t left = 0;
    double weight = 0;
    for (size_t i = 0; i + 1 < items.size(); ++i)
      if (before(items[i], items.back())) {
        weight += static_cast<double>(items[i].weight);
        std::swap(items[i], items[left++]);
      }
    std::swap(items[left], items.back());
    if (above + weight >= target && left > 0) {
      items = items.first(left);
      continue;
    }
    above += weight + static_cast<double>(items[left].weight);
    if (above >= target) return &items[left];
    items = items.subspan(left + 1);
  }
  return nullptr;
}

// Keeps the candidates for whose index `stays` holds, in order.
template <class Stays>
void filter(SamplerWorkspace& work, const Stays& stays) {
  size_t n = 0;
  for (size_t i = 0; i < work.kept_ids.size(); ++i)
    if (stays(i)) {
      work.kept_ids[n] = work.kept_ids[i];
      work.kept_weights[n++] = work.kept_weights[i];
    }
  work.kept_ids.resize(n);
  work.kept_weights.resize(n);
}

}  // namespace

Sampler::Sampler(SamplingParams params, int32_t vocab_size, std::span<const int32_t> prompt,
                 std::span<const int32_t> eos_ids, uint32_t choice)
    : params_(std::move(params)), vocab_size_(vocab_size), rules_(params_, prompt.size(), eos_ids), choice_(choice) {
  params_.validate(vocab_size);
  if (rules_.any()) history_.assign(prompt.begin(), prompt.end());
  seed_ = params_.seed ? *params_.seed : seed_of_system();
  ends_ = params_.stop_token_ids;
  if (!params_.ignore_eos) ends_.insert(ends_.end(), eos_ids.begin(), eos_ids.end());
  std::sort(ends_.begin(), ends_.end());
  penalties_ = params_.repetition_penalty != 1 || params_.frequency_penalty != 0 || params_.presence_penalty != 0;
  if (params_.repetition_penalty != 1) {
    for (int32_t id : prompt)
      if (id >= 0 && id < vocab_size) seen_.push_back({id, 0});
    const auto by_id = [](const Seen& a, const Seen& b) { return a.id < b.id; };
    std::sort(seen_.begin(), seen_.end(), by_id);
    const auto same = [](const Seen& a, const Seen& b) { return a.id == b.id; };
    seen_.erase(std::unique(seen_.begin(), seen_.end(), same), seen_.end());
  }
  // Of equal ids in the bias the last counts: earlier ones become no bias.
  auto& bias = params_.logit_bias;
  std::stable_sort(bias.begin(), bias.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (size_t i = 0; i + 1 < bias.size(); ++i)
    if (bias[i].first == bias[i + 1].first) bias[i].second = 0;
}

bool Sampler::ends(int32_t token) const { return std::binary_search(ends_.begin(), ends_.end(), token); }

void Sampler::accept(int32_t token) {
  CHECK(token >= 0 && token < vocab_size_);
  ++generated_;
  if (rules_.any()) history_.push_back(token);
  if (!penalties_) return;
  const auto at = std::lower_bound(seen_.begin(), seen_.end(), token, [](const Seen& s, int32_t id) { return s.id < id; });
  if (at != seen_.end() && at->id == token) ++at->count;
  else seen_.insert(at, {token, 1});
}

Sampled Sampler::next(std::span<const float> logits, SamplerWorkspace& work) {
  Sampled out;
  const TokenDistribution d = distribution(logits, work);
  out.token = d.weights.size() == 1 ? d.id(0) : draw(d, work);
  if (params_.logprobs >= 0) report(logits, work, out);
  accept(out.token);
  return out;
}

TokenDistribution Sampler::distribution(std::span<const float> logits, SamplerWorkspace& work) const {
  if (logits.size() != static_cast<size_t>(vocab_size_))
    fail(Code::kInvalidArgument, "sampler", "expected {} logits, got {}", vocab_size_, logits.size());
  const std::span<const float> scores = edited(logits, work);
  const logit_row::Scan s = logit_row::scan(scores);
  if (!s.valid || s.max == -kInf) reject(scores);
  if (!params_.greedy()) return warp(scores, s.max, work);
  work.kept_ids.assign(1, static_cast<int32_t>(logit_row::find(scores, s.max)));
  work.kept_weights.assign(1, 1.0f);
  return {work.kept_ids, work.kept_weights, 1.0};
}

void Sampler::reject(std::span<const float> scores) const {
  for (size_t i = 0; i < scores.size(); ++i)
    if (!(scores[i] < kInf))
      fail(Code::kInvalidArgument, "sampler", "expected finite logits, got {} for token {} at step {}", scores[i], i, generated_);
  fail(Code::kInvalidArgument, "sampler", "expected a token that may follow at step {}, got -inf for all {}", generated_,
       scores.size());
}

std::span<const float> Sampler::edited(std::span<const float> logits, SamplerWorkspace& work) const {
  const bool hold_back = generated_ < params_.min_tokens && !ends_.empty();
  if (params_.logit_bias.empty() && params_.suppress_tokens.empty() && seen_.empty() && !hold_back && !rules_.any())
    return logits;
  work.scores.assign(logits.begin(), logits.end());
  for (const auto& [id, bias] : params_.logit_bias) work.scores[static_cast<size_t>(id)] += bias;
  edit_penalties(work.scores);
  const auto forbid = [&](int32_t id) {
    if (id >= 0 && id < vocab_size_) work.scores[static_cast<size_t>(id)] = -kInf;
  };
  if (hold_back) std::for_each(ends_.begin(), ends_.end(), forbid);
  rules_.apply(history_, work.scores);
  std::for_each(params_.suppress_tokens.begin(), params_.suppress_tokens.end(), forbid);
  rules_.apply_timestamps(history_, work.scores);
  return work.scores;
}

void Sampler::edit_penalties(std::span<float> scores) const {
  for (const Seen& seen : seen_) {
    float& s = scores[static_cast<size_t>(seen.id)];
    s = s < 0 ? s * params_.repetition_penalty : s / params_.repetition_penalty;
    if (seen.count > 0) s -= params_.frequency_penalty * static_cast<float>(seen.count) + params_.presence_penalty;
  }
}

TokenDistribution Sampler::warp(std::span<const float> scores, float max, SamplerWorkspace& work) const {
  double total = 0;
  if (params_.top_k > 0 && params_.top_k < vocab_size_) {
    total = keep_top_k(scores, max, work);
  } else {
    work.weights.resize(scores.size());
    logit_row::exp_weights(scores, max, 1 / params_.temperature, work.weights);
    if (params_.top_p == 1 && params_.min_p == 0 && params_.typical_p == 1)
      return {{}, work.weights, logit_row::block_sums(work.weights, work.sums)};
    total = keep_probable(work);
  }
  if (params_.top_p < 1) cut_top_p(total, work);
  if (params_.min_p > 0)  // the most probable token weighs 1 and is never cut
    filter(work, [&](size_t i) { return work.kept_weights[i] >= params_.min_p; });
  if (params_.typical_p < 1) cut_typical(work);
  return {work.kept_ids, work.kept_weights, logit_row::block_sums(work.kept_weights, work.sums)};
}

// The candidates that top-k leaves; returns their weight.
double Sampler::keep_top_k(std::span<const float> scores, float max, SamplerWorkspace& work) const {
  work.kept_ids.clear();
  const float kth = logit_row::kth_largest(scores, static_cast<size_t>(params_.top_k), work.values);
  logit_row::at_least(scores, kth, work.kept_ids);
  work.values.clear();
  for (int32_t id : work.kept_ids) work.values.push_back(scores[static_cast<size_t>(id)]);
  work.kept_weights.resize(work.values.size());
  logit_row::exp_weights(work.values, max, 1 / params_.temperature, work.kept_weights);
  return logit_row::block_sums(work.kept_weights, work.sums);
}

// The candidates that top-p and min-p may leave, so that what follows sees thousands and not the vocabulary; returns the
// weight of the whole vocabulary.
double Sampler::keep_probable(SamplerWorkspace& work) const {
  work.kept_ids.clear();
  work.kept_weights.clear();
  const double total = logit_row::block_sums(work.weights, work.sums);
  // Below this a token is cut by top-p for certain: all those no more probable sum to no more than 1 - top_p together.
  const double certain = (1 - static_cast<double>(params_.top_p)) * total / vocab_size_ * (1 - 1e-6);
  // Both cuts keep the most probable tokens, so min-p may come first here without changing what top-p keeps of its own.
  const float bar = std::max({static_cast<float>(certain), params_.min_p, std::numeric_limits<float>::min()});
  logit_row::at_least(work.weights, bar, work.kept_ids);
  for (int32_t id : work.kept_ids) work.kept_weights.push_back(work.weights[static_cast<size_t>(id)]);
  return total;
}

void Sampler::cut_top_p(double total, SamplerWorkspace& work) const {
  work.ranked.clear();
  for (size_t i = 0; i < work.kept_ids.size(); ++i)
    work.ranked.push_back({work.kept_weights[i], work.kept_weights[i], work.kept_ids[i]});
  const auto* last = weighted_select(std::span(work.ranked), static_cast<double>(params_.top_p) * total);
  if (!last) return;
  filter(work, [&, cut = *last](size_t i) {
    const float w = work.kept_weights[i];
    return w > cut.key || (w == cut.key && work.kept_ids[i] <= cut.id);
  });
}

void Sampler::cut_typical(SamplerWorkspace& work) const {
  // With p = w / total the entropy is log total - mean, so -log p - entropy = mean - log w.
  const double total = logit_row::block_sums(work.kept_weights, work.sums);
  double mean = 0;
  work.ranked.clear();
  for (size_t i = 0; i < work.kept_ids.size(); ++i) {
    const float w = work.kept_weights[i];
    // Rounded from double: the same bits whichever libm computes it.
    const float log = w > 0 ? static_cast<float>(std::log(static_cast<double>(w))) : -kInf;
    if (w > 0) mean += static_cast<double>(w) * static_cast<double>(log) / total;
    work.ranked.push_back({log, w, work.kept_ids[i]});
  }
  work.values.clear();
  for (auto& r : work.ranked) {
    r.key = -static_cast<float>(std::abs(mean - static_cast<double>(r.key)));
    work.values.push_back(r.key);
  }
  const auto* last = weighted_select(std::span(work.ranked), static_cast<double>(params_.typical_p) * total);
  if (last) filter(work, [&, cut = last->key](size_t i) { return work.values[i] >= cut; });
}

int32_t Sampler::draw(const TokenDistribution& d, SamplerWorkspace& work) const {
  // work.sums are the sums of d's blocks: distribution() made them last.
  double left = philox_uniform(seed_, choice_, static_cast<uint64_t>(generated_)) * d.total;
  size_t block = 0;
  while (block + 1 < work.sums.size() && left >= work.sums[block]) left -= work.sums[block++];
  const size_t begin = block * logit_row::kBlock, end = std::min(begin + logit_row::kBlock, d.weights.size());
  size_t chosen = d.weights.size();
  for (size_t i = begin; i < end; ++i) {
    if (d.weights[i] <= 0) continue;
    chosen = i;
    left -= static_cast<double>(d.weights[i]);
    if (left < 0) break;
  }
  // Rounding may leave an empty block at the end: then the last token that has a weight.
  if (chosen == d.weights.size())
    for (chosen = end - 1; chosen > 0 && d.weights[chosen] <= 0;) --chosen;
  return d.id(chosen);
}

void Sampler::report(std::span<const float> logits, SamplerWorkspace& work, Sampled& out) const {
  const logit_row::Scan s = logit_row::scan(logits);
  if (!s.valid || s.max == -kInf) reject(logits);
  const double norm = logit_row::log_sum_exp(logits, s.max);
  const auto logprob = [&](float logit) { return static_cast<float>(static_cast<double>(logit) - norm); };
  out.logprob = logprob(logits[static_cast<size_t>(out.token)]);
  work.top.clear();
  work.kept_ids.clear();
  const size_t n = std::min(static_cast<size_t>(params_.logprobs), logits.size());
  if (n == 0) return;
  const float kth = logit_row::kth_largest(logits, n, work.values);
  logit_row::at_least(logits, kth, work.kept_ids);
  for (int32_t id : work.kept_ids) work.top.push_back({id, logits[static_cast<size_t>(id)]});
  const auto before = [](const TokenLogprob& a, const TokenLogprob& b) {
    return a.logprob > b.logprob || (a.logprob == b.logprob && a.id < b.id);
  };
  std::partial_sort(work.top.begin(), work.top.begin() + static_cast<std::ptrdiff_t>(n), work.top.end(), before);
  work.top.resize(n);
  for (TokenLogprob& t : work.top) t.logprob = logprob(t.logprob);
  out.top = work.top;
}

}  // namespace transom
