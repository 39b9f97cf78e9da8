// Mixtures of experts: routing by hand-made cases and by its contract; the experts' linear layers against the table's own
// linear, expert by expert, bit for bit; combination against the reference.
#include <algorithm>
#include <numeric>

#include "kernels/data.h"

namespace transom::test {
namespace {

using MoE = TableTest;
INSTANTIATE_TEST_SUITE_P(Tables, MoE, testing::ValuesIn(available_kernels()), table_name);

struct Routed {
  std::vector<int32_t> experts, rows, positions, offsets;
  Matrix weights;
  Routed(int64_t T, int64_t E, int64_t k) : experts(T * k, -1), rows(T * k, -1), positions(T * k, -1), offsets(E + 1, -1), weights(DType::kF32, T, k) {}
  RoutedRows view() { return {experts.data(), rows.data(), positions.data(), offsets.data()}; }
};

Routed route(const Kernels& k, Stream& s, const Matrix& logits, const RoutingRule& rule, const float* bias = nullptr) {
  Routed r(logits.view().rows, logits.view().cols, rule.top_k);
  k.routing({.logits = logits, .bias = bias, .rule = rule, .routed = r.view(), .weights = r.weights}, s);
  return r;
}

Matrix one_row(const std::vector<float>& values) {
  Matrix m(DType::kF32, 1, static_cast<int64_t>(values.size()));
  for (size_t i = 0; i < values.size(); ++i) m.set(0, static_cast<int64_t>(i), values[i]);
  return m;
}

using Experts = std::vector<int32_t>;

TEST_P(MoE, RoutingByHand) {
  const auto run = [&](const std::vector<float>& logits, const RoutingRule& rule, const float* bias = nullptr) {
    return route(table(), bench.stream, one_row(logits), rule, bias);
  };
  const float log2 = std::log(2.f), log4 = std::log(4.f);
  const Routed r = run({0, log4, log2, 0}, {.top_k = 2});  // probabilities 1/8, 1/2, 1/4, 1/8
  EXPECT_EQ(r.experts, (Experts{1, 2}));
  EXPECT_NEAR(r.weights.get(0, 0), 0.5, 1e-6);
  EXPECT_NEAR(r.weights.get(0, 1), 0.25, 1e-6);
  const Routed scaled = run({0, log4, log2, 0}, {.top_k = 2, .normalize = true, .scale = 3.f});
  EXPECT_NEAR(scaled.weights.get(0, 0), 2, 1e-6);
  EXPECT_NEAR(scaled.weights.get(0, 1), 1, 1e-6);
  EXPECT_EQ(run({1, 2, 2, 2, 0}, {.top_k = 3}).experts, (Experts{1, 2, 3})) << "of equal ones the first";
  // The bias decides the choice, not the weight.
  const float bias[] = {0, 0, 0, 1};
  const Routed moved = run({0, 1, 0, -1}, {.scoring = Scoring::kSigmoid, .top_k = 1}, bias);
  EXPECT_EQ(moved.experts, (Experts{3}));
  EXPECT_NEAR(moved.weights.get(0, 0), 1 / (1 + std::exp(1.0)), 1e-6);
  // Groups {0, 1}, {2, 3}, {4, 5}: the best of one, or the sum of two.
  const std::vector<float> six = {3, -9, 2, 2.5f, -9, -9};
  EXPECT_EQ(run(six, {.top_k = 2, .groups = 3, .top_groups = 1}).experts, (Experts{0, 1}));
  EXPECT_EQ(run(six, {.scoring = Scoring::kSigmoid, .top_k = 2, .groups = 3, .top_groups = 1, .group_best = 2}).experts, (Experts{3, 2}));
  EXPECT_EQ(run(six, {.top_k = 3, .groups = 3, .top_groups = 2}).experts, (Experts{0, 3, 2}));
  // SparseMixer: 1 is a candidate beside 2 ((2 - 1.9) / 2 <= 0.2), 0 is none; then 1 stands alone.
  const Routed mixed = run({1, 1.9f, 2}, {.scoring = Scoring::kSparseMixer, .top_k = 2, .jitter = 0.1f});
  EXPECT_EQ(mixed.experts, (Experts{2, 1}));
  EXPECT_NEAR(mixed.weights.get(0, 0), 1 / (1 + std::exp(-0.1)), 1e-6);
  EXPECT_NEAR(mixed.weights.get(0, 1), 1, 1e-6);
}

TEST_P(MoE, RoutingOfManyRows) {
  const RoutingRule rules[] = {{.top_k = 1}, {.top_k = 8, .normalize = true},
                               {.scoring = Scoring::kSigmoid, .top_k = 6, .groups = 8, .top_groups = 3, .group_best = 2},
                               {.scoring = Scoring::kSparseMixer, .top_k = 2, .jitter = 0.01f}};
  for (const RoutingRule& rule : rules)
    for (const DType type : activations)
      for (const int64_t T : {1, 3, 200}) {
        const int64_t E = 64, k = rule.top_k;
        const Matrix logits = Matrix(type, T, E).fill(random, 2.f);
        Routed got = route(table(), bench.stream, logits, rule), want = route(bench.ref, bench.stream, logits, rule);
        EXPECT_EQ(got.experts, want.experts);
        expect_close(got.weights, want.weights, 1e-6, 1e-3);
        // Pairs by expert, then by row; positions are the way back.
        EXPECT_EQ(got.offsets.front(), 0);
        EXPECT_EQ(got.offsets.back(), T * k);
        for (int64_t p = 0; p < T * k; ++p) {
          const int32_t e = got.experts[p], at = got.positions[p];
          ASSERT_TRUE(got.offsets[e] <= at && at < got.offsets[e + 1]);
          ASSERT_EQ(got.rows[at], p / k);
          if (at + 1 < got.offsets[e + 1]) ASSERT_LT(got.rows[at], got.rows[at + 1]);
        }
      }
}

TEST_P(MoE, RoutingOfNoNumbersChoosesDifferentExperts) {
  const float inf = std::numeric_limits<float>::infinity();
  for (const auto scoring : {Scoring::kSoftmax, Scoring::kSigmoid, Scoring::kSparseMixer})
    for (const std::vector<float>& v : {std::vector<float>{NAN, NAN, NAN}, {inf, inf, 0}, {-inf, -inf, -inf}, {0, NAN, 1}}) {
      const Routed r = route(table(), bench.stream, one_row(v), {.scoring = scoring, .top_k = 2, .jitter = 0.1f});
      for (const int32_t e : r.experts) EXPECT_TRUE(e >= 0 && e < 3) << e;
      EXPECT_NE(r.experts[0], r.experts[1]);
      EXPECT_EQ(r.offsets.back(), 2);
    }
}

// The weights of all experts, random choices of k of them for T rows, and the result expert by expert through linear.
struct ExpertCase {
  std::vector<RandomWeight> weights;
  std::vector<std::vector<float>> bias_values;
  std::vector<WeightView> biases;
  std::vector<const WeightView*> weight_views, bias_views;
  std::vector<int32_t> rows, offsets;

  ExpertCase(DType type, int64_t E, int64_t T, int64_t k, int64_t n, int64_t cols, Random& random) : offsets(E + 1, 0) {
    for (int64_t e = 0; e < E; ++e) {
      weights.emplace_back(type, n, cols, random, e % 2);
      std::vector<float>& b = bias_values.emplace_back(n);
      for (float& x : b) x = normal(random);
    }
    for (int64_t e = 0; e < E; ++e) {
      weight_views.push_back(&weights[e].view);
      biases.push_back({reinterpret_cast<const std::byte*>(bias_values[e].data()), DType::kF32, 1, n, 4 * n});
    }
    for (const WeightView& b : biases) bias_views.push_back(&b);
    std::vector<std::vector<int32_t>> of(E);
    for (int64_t t = 0; t < T; ++t) {
      std::vector<int32_t> order(E / 2);
      std::iota(order.begin(), order.end(), 0);
      std::shuffle(order.begin(), order.end(), random);
      for (int64_t j = 0; j < k; ++j) of[2 * order[j]].push_back(static_cast<int32_t>(t));  // odd experts have no rows
    }
    for (int64_t e = 0; e < E; ++e) {
      std::sort(of[e].begin(), of[e].end());
      rows.insert(rows.end(), of[e].begin(), of[e].end());
      offsets[e + 1] = static_cast<int32_t>(rows.size());
    }
  }
  int64_t positions() const { return offsets.back(); }
};

TEST_P(MoE, ExpertLinearEqualsLinearOfEachExpert) {
  for (const DType type : weight_types()) {
    const int block = info(type).block;
    const int64_t E = 8, K = block == 1 ? 67 : block == 256 ? 512 : 96;
    for (const int64_t T : {1, 2, 5, 16, 28, 40})
      for (const DType act : {DType::kF32, DType::kBF16}) {
        if (act == DType::kBF16 && (block != 1 || T == 2)) continue;
        const ExpertCase a(type, E, T, 3, 37, K, random), b(DType::kF16, E, T, 3, 5, K, random);
        const int64_t P = a.positions();
        const Matrix x = Matrix(act, T, K).fill(random);
        Matrix by_position(act, P, K), got(act, P, 37), other(DType::kF32, P, 5), again(act, P, 37), want(act, P, 37), want_other(DType::kF32, P, 5);
        for (int64_t i = 0; i < P; ++i)
          for (int64_t c = 0; c < K; ++c) by_position.set(i, c, x.get(a.rows[i], c));
        const ExpertSegment two[] = {{a.weight_views.data(), a.bias_views.data(), got}, {b.weight_views.data(), nullptr, other}};
        table().expert_linear({.x = x, .rows = a.rows.data(), .offsets = a.offsets.data(), .experts = E, .segments = two}, bench.stream);
        const ExpertSegment one[] = {{a.weight_views.data(), a.bias_views.data(), again}};
        table().expert_linear({.x = by_position, .offsets = a.offsets.data(), .experts = E, .segments = one}, bench.stream);
        for (int64_t e = 0; e < E; ++e) {
          const auto part = [&](const Matrix& m) {
            View v = m.view();
            v.data = static_cast<std::byte*>(v.data) + a.offsets[e] * v.stride * info(v.dtype).bytes;
            v.rows = a.offsets[e + 1] - a.offsets[e];
            return v;
          };
          if (part(want).rows == 0) continue;
          const LinearSegment s[] = {{a.weights[e].view, a.bias_values[e].data(), part(want)}, {b.weights[e].view, nullptr, part(want_other)}};
          table().linear({.x = part(by_position), .segments = s}, bench.stream);
        }
        SCOPED_TRACE(std::string(name(type)) + " T " + std::to_string(T));
        ASSERT_TRUE(got.same_bytes(want));
        ASSERT_TRUE(again.same_bytes(want));
        ASSERT_TRUE(other.same_bytes(want_other));
      }
  }
}

TEST_P(MoE, ExpertLinearOfNoRows) {
  const ExpertCase a(DType::kF32, 4, 0, 2, 8, 16, random);
  const Matrix x(DType::kF32, 0, 16), y(DType::kF32, 0, 8);
  const ExpertSegment s[] = {{a.weight_views.data(), nullptr, y}};
  table().expert_linear({.x = x, .rows = a.rows.data(), .offsets = a.offsets.data(), .experts = 4, .segments = s}, bench.stream);
}

TEST_P(MoE, CombineRows) {
  for (const DType in : activations)
    for (const DType out : activations)
      for (const int64_t cols : {1, 17, 576})
        for (const int64_t T : {1, 40}) {
          const int64_t k = 3;
          std::vector<int32_t> positions(T * k);
          std::iota(positions.begin(), positions.end(), 0);
          std::shuffle(positions.begin(), positions.end(), random);
          const Matrix x = Matrix(in, T * k, cols).fill(random), w = Matrix(in, T, k).fill(random);
          for (const bool given : {true, false}) {
            Matrix y(out, T, cols), want(out, T, cols);
            CombineRowsArgs a{.x = x, .positions = given ? positions.data() : nullptr, .weights = w, .y = want};
            bench.ref.combine_rows(a, bench.stream);
            a.y = y;
            table().combine_rows(a, bench.stream);
            expect_close(y, want, 1e-6, 3.0);
          }
        }
}

TEST_P(MoE, ClampedGate) {
  for (const DType type : activations)
    for (const int64_t cols : {1, 15, 64, 577})
      for (const GateClamp clamp : {GateClamp{.limit = 1.5f, .up_offset = 1.f}, {.limit = 0.7f}, {.up_offset = -2.f}}) {
        const Matrix gate = Matrix(type, 3, cols).fill(random, 2.f), up = Matrix(type, 3, cols).fill(random, 2.f);
        Matrix y(type, 3, cols), want(type, 3, cols);
        ActMulArgs a{.gate = gate, .up = up, .y = want, .act = Activation::kQuickGelu, .clamp = clamp};
        bench.ref.act_mul(a, bench.stream);
        a.y = y;
        table().act_mul(a, bench.stream);
        expect_close(y, want, 1.5e-6, 1.0);
      }
}

}  // namespace
}  // namespace transom::test
