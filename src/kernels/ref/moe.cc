// Reference routing and combination of mixture-of-experts layers, and their backward; the rules are in kernels.h.
//   Shazeer et al. 2017 (top-k gating), DeepSeek-V2 and -V3 2024 (groups, correction bias), Liu et al. 2024 (SparseMixer).
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <vector>

#include "kernels/ref/row.h"

namespace transom::ref {
namespace {

using Values = std::vector<double>;  // one an expert
constexpr double kNever = -std::numeric_limits<double>::infinity();

// What is no number, or below all of them, is the last to be chosen: a row's experts are different ones in any case.
void make_comparable(Values& x) {
  for (double& v : x)
    if (!(v >= std::numeric_limits<double>::lowest())) v = std::numeric_limits<double>::lowest();
}

int32_t first_largest(const Values& x) { return static_cast<int32_t>(std::max_element(x.begin(), x.end()) - x.begin()); }

Values logits_of(const RoutingArgs& a, int64_t t) {
  Values x(a.logits.cols);
  for (int64_t e = 0; e < a.logits.cols; ++e) x[e] = load(a.logits, t, e);
  return x;
}

void softmax(Values& x) {
  const double top = *std::max_element(x.begin(), x.end());
  double sum = 0;
  for (double& v : x) sum += v = std::exp(v - top);
  for (double& v : x) v /= sum;
}

Values scores_of(const RoutingArgs& a, int64_t t) {
  Values s = logits_of(a, t);
  if (a.rule.scoring == Scoring::kSoftmax) softmax(s);
  if (a.rule.scoring == Scoring::kSigmoid)
    for (double& v : s) v = 1 / (1 + std::exp(-v));
  return s;
}

// Leaves the experts of the best groups.
void limit_to_groups(const RoutingRule& rule, Values& choice) {
  const auto size = static_cast<int64_t>(choice.size()) / rule.groups;
  Values groups(rule.groups, 0.0);
  for (int64_t g = 0; g < rule.groups; ++g) {
    Values members(choice.begin() + g * size, choice.begin() + (g + 1) * size);
    std::partial_sort(members.begin(), members.begin() + rule.group_best, members.end(), std::greater<>());
    for (int64_t i = 0; i < rule.group_best; ++i) groups[g] += members[i];
  }
  std::vector<bool> kept(rule.groups, false);
  for (int64_t i = 0; i < rule.top_groups; ++i) {
    const int32_t best = first_largest(groups);
    kept[best] = true;
    groups[best] = kNever;
  }
  for (size_t e = 0; e < choice.size(); ++e)
    if (!kept[e / size]) choice[e] = kNever;
}

int32_t* experts_of(const RoutingArgs& a, int64_t t) { return a.routed.experts + t * a.rule.top_k; }

Values without(Values logits, const int32_t* chosen, int64_t count) {
  for (int64_t i = 0; i < count; ++i) logits[chosen[i]] = kNever;
  return logits;
}

// SparseMixer's probabilities among the logits that are `left`; 0 for what is no candidate.
Values candidates(const RoutingArgs& a, Values left) {
  const double best = *std::max_element(left.begin(), left.end());
  for (double& v : left)
    if (v != kNever && (best - v) / std::max(std::abs(v), best) > 2.0 * a.rule.jitter) v = kNever;
  softmax(left);
  return left;
}

void sparse_mixer(const RoutingArgs& a, int64_t t) {
  Values logits = logits_of(a, t);
  make_comparable(logits);
  int32_t* experts = experts_of(a, t);
  for (int64_t j = 0; j < a.rule.top_k; ++j) {
    const Values left = without(logits, experts, j);
    experts[j] = first_largest(left);
    store(a.weights, t, j, candidates(a, left)[experts[j]]);
  }
}

void sparse_mixer_grad(const RoutingGradArgs& g, int64_t t) {
  const Values logits = logits_of(g.forward, t);
  const int32_t* experts = experts_of(g.forward, t);
  for (int64_t j = 0; j < g.forward.rule.top_k; ++j) {
    const Values p = candidates(g.forward, without(logits, experts, j));
    const double dp = load(g.dweights, t, j) * p[experts[j]];
    for (size_t e = 0; e < p.size(); ++e)
      accumulate(g.dlogits_acc, t, static_cast<int64_t>(e), dp * ((static_cast<int32_t>(e) == experts[j] ? 1 : 0) - p[e]));
  }
}

}  // namespace

void route_row(const RoutingArgs& a, int64_t t) {
  const RoutingRule& rule = a.rule;
  if (rule.scoring == Scoring::kSparseMixer) return sparse_mixer(a, t);
  const Values scores = scores_of(a, t);
  Values choice = scores;
  if (a.bias)
    for (size_t e = 0; e < choice.size(); ++e) choice[e] += a.bias[e];
  make_comparable(choice);
  if (rule.top_groups < rule.groups) limit_to_groups(rule, choice);
  int32_t* experts = experts_of(a, t);
  double sum = 0;
  for (int64_t j = 0; j < rule.top_k; ++j) {
    experts[j] = first_largest(choice);
    choice[experts[j]] = kNever;
    sum += scores[experts[j]];
  }
  for (int64_t j = 0; j < rule.top_k; ++j)
    store(a.weights, t, j, scores[experts[j]] / (rule.normalize ? sum : 1.0) * rule.scale);
}

void sort_pairs(const RoutingArgs& a) {
  const RoutedRows& r = a.routed;
  const int64_t k = a.rule.top_k, pairs = a.logits.rows * k, experts = a.logits.cols;
  std::fill(r.offsets, r.offsets + experts + 1, 0);
  for (int64_t p = 0; p < pairs; ++p) ++r.offsets[r.experts[p] + 1];
  for (int64_t e = 0; e < experts; ++e) r.offsets[e + 1] += r.offsets[e];
  for (int64_t p = 0; p < pairs; ++p) {
    const int32_t at = r.offsets[r.experts[p]]++;
    r.rows[at] = static_cast<int32_t>(p / k);
    r.positions[p] = at;
  }
  for (int64_t e = experts; e > 0; --e) r.offsets[e] = r.offsets[e - 1];  // each had moved on to its expert's end
  r.offsets[0] = 0;
}

void routing(const RoutingArgs& a, Stream& s) {
  parallel(s, a.logits.rows, [&](int64_t t) { route_row(a, t); });
  sort_pairs(a);
}

void routing_grad(const RoutingGradArgs& g, Stream& s) {
  const RoutingArgs& a = g.forward;
  const RoutingRule& rule = a.rule;
  parallel(s, a.logits.rows, [&](int64_t t) {
    if (rule.scoring == Scoring::kSparseMixer) return sparse_mixer_grad(g, t);
    const Values p = scores_of(a, t);
    const int32_t* experts = experts_of(a, t);
    double sum = 0, dot = 0;  // of the chosen scores; with their gradients
    for (int64_t j = 0; j < rule.top_k; ++j) {
      sum += p[experts[j]];
      dot += load(g.dweights, t, j) * p[experts[j]];
    }
    Values dp(p.size(), 0.0);
    for (int64_t j = 0; j < rule.top_k; ++j) {
      const double d = load(g.dweights, t, j);
      dp[experts[j]] = rule.scale * (rule.normalize ? (d - dot / sum) / sum : d);
    }
    double mean = 0;
    for (size_t e = 0; e < p.size(); ++e) mean += dp[e] * p[e];
    for (size_t e = 0; e < p.size(); ++e)
      accumulate(g.dlogits_acc, t, static_cast<int64_t>(e),
                 p[e] * (rule.scoring == Scoring::kSoftmax ? dp[e] - mean : dp[e] * (1 - p[e])));
  });
}

void combine_rows(const CombineRowsArgs& a, Stream& s) {
  const int64_t k = a.weights.cols;
  parallel(s, a.y.rows, [&](int64_t t) {
    for (int64_t c = 0; c < a.y.cols; ++c) {
      double sum = 0;
      for (int64_t j = 0; j < k; ++j) {
        const int64_t p = t * k + j;
        sum += load(a.weights, t, j) * load(a.x, a.positions ? a.positions[p] : p, c);
      }
      store(a.y, t, c, sum);
    }
  });
}

void combine_rows_grad(const CombineRowsGradArgs& g, Stream& s) {
  const CombineRowsArgs& a = g.forward;
  const int64_t k = a.weights.cols;
  parallel(s, g.dy.rows, [&](int64_t t) {
    for (int64_t j = 0; j < k; ++j) {
      const int64_t p = t * k + j, at = a.positions ? a.positions[p] : p;
      double dot = 0;
      for (int64_t c = 0; c < g.dy.cols; ++c) {
        const double d = load(g.dy, t, c);
        dot += d * load(a.x, at, c);
        if (g.dx_acc) accumulate(g.dx_acc, at, c, load(a.weights, t, j) * d);
      }
      if (g.dweights_acc) accumulate(g.dweights_acc, t, j, dot);
    }
  });
}

}  // namespace transom::ref
