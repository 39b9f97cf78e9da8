// The sampling steps of include/transom/sampling.h written out plainly: double precision, a full sort at each cut.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <vector>

#include "transom/sampling.h"

namespace transom::test {

struct History {
  std::vector<int32_t> prompt, generated, eos;
};

inline std::vector<double> softmax(const std::vector<double>& x) {
  const double max = *std::max_element(x.begin(), x.end());
  std::vector<double> p;
  for (double v : x) p.push_back(std::exp(v - max));
  const double total = std::accumulate(p.begin(), p.end(), 0.0);
  for (double& v : p) v /= total;
  return p;
}

// Ids ordered by `key`, the smallest first, lower ids first among equals.
inline std::vector<size_t> order_by(const std::vector<double>& key) {
  std::vector<size_t> order(key.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return key[a] < key[b]; });
  return order;
}

inline void reference_edits(const SamplingParams& p, const History& h, std::vector<double>& x) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  const auto count = [](const std::vector<int32_t>& ids, size_t id) {
    return static_cast<double>(std::count(ids.begin(), ids.end(), static_cast<int32_t>(id)));
  };
  for (const auto& [id, bias] : p.logit_bias) x[static_cast<size_t>(id)] += bias;
  for (size_t i = 0; i < x.size(); ++i) {
    const double said = count(h.generated, i);
    if (said + count(h.prompt, i) > 0) x[i] = x[i] > 0 ? x[i] / p.repetition_penalty : x[i] * p.repetition_penalty;
    x[i] -= said * p.frequency_penalty + (said > 0 ? p.presence_penalty : 0);
  }
  if (static_cast<int>(h.generated.size()) < p.min_tokens) {
    if (!p.ignore_eos)
      for (int32_t id : h.eos) x[static_cast<size_t>(id)] = -kInf;
    for (int32_t id : p.stop_token_ids) x[static_cast<size_t>(id)] = -kInf;
  }
  for (int32_t id : p.suppress_tokens) x[static_cast<size_t>(id)] = -kInf;
}

// Probabilities of all tokens after all steps.
inline std::vector<double> reference_probabilities(const SamplingParams& p, const History& h, std::span<const float> logits) {
  constexpr double kInf = std::numeric_limits<double>::infinity();
  std::vector<double> x(logits.begin(), logits.end());
  reference_edits(p, h, x);
  std::vector<double> out(x.size(), 0.0);
  if (p.temperature == 0) {
    out[static_cast<size_t>(std::max_element(x.begin(), x.end()) - x.begin())] = 1;
    return out;
  }
  for (double& v : x) v /= p.temperature;
  if (p.top_k > 0 && p.top_k < static_cast<int>(x.size())) {
    std::vector<double> sorted = x;
    std::sort(sorted.begin(), sorted.end(), std::greater<>());
    for (double& v : x)
      if (v < sorted[static_cast<size_t>(p.top_k) - 1]) v = -kInf;
  }
  if (p.top_p < 1) {
    const std::vector<double> prob = softmax(x);
    std::vector<double> key;
    for (double v : x) key.push_back(-v);
    double before = 0;
    bool first = true;
    for (size_t i : order_by(key)) {
      if (before >= p.top_p && !first) x[i] = -kInf;
      before += prob[i];
      first = false;
    }
  }
  if (p.min_p > 0) {
    const std::vector<double> prob = softmax(x);
    const double top = *std::max_element(prob.begin(), prob.end());
    for (size_t i = 0; i < x.size(); ++i)
      if (prob[i] < p.min_p * top) x[i] = -kInf;
  }
  if (p.typical_p < 1) {
    const std::vector<double> prob = softmax(x);
    double entropy = 0, before = 0;
    for (double v : prob) entropy -= v > 0 ? v * std::log(v) : 0;
    std::vector<double> key;
    for (double v : prob) key.push_back(v > 0 ? std::abs(-std::log(v) - entropy) : kInf);
    double last = -kInf;  // equals of the last one kept stay too
    for (size_t i : order_by(key)) {
      if (before >= p.typical_p && key[i] > last) x[i] = -kInf;
      else last = key[i];
      before += prob[i];
    }
  }
  return softmax(x);
}

}  // namespace transom::test
