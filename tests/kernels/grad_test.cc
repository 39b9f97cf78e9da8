// The backward rows of every table against finite differences of its reference forward, in the direction of random vectors:
//   (L(x + h d) - L(x - h d)) / 2h = <gradient, d>, L = <forward(x), dy>.
// The forward runs in double, its outputs are rounded to float; h = 2^-6 leaves truncation (h²) and rounding (2^-24 / h)
// both near 1e-4 of the terms' size.
#include <functional>

#include "kernels/data.h"

namespace transom::test {
namespace {

using Gradients = TableTest;
INSTANTIATE_TEST_SUITE_P(Tables, Gradients, testing::ValuesIn(available_kernels()), table_name);

constexpr double kStep = 0x1p-6;

double inner(const Matrix& a, const Matrix& b) {
  double s = 0;
  for (int64_t r = 0; r < a.view().rows; ++r)
    for (int64_t c = 0; c < a.view().cols; ++c) s += double{a.get(r, c)} * b.get(r, c);
  return s;
}
double norm(const Matrix& a) { return std::sqrt(inner(a, a)); }

// `forward` reads x and returns L. `grad` is what the kernel added to a gradient that held `before`.
void expect_gradient(Matrix& x, const std::function<double()>& forward, const Matrix& grad, const Matrix& before, Random& random,
                     double scale) {
  const Matrix saved(x);
  for (int trial = 0; trial < 3; ++trial) {
    const Matrix d = Matrix(DType::kF32, x.view().rows, x.view().cols).fill(random);
    const auto at = [&](double h) {
      for (int64_t r = 0; r < x.view().rows; ++r)
        for (int64_t c = 0; c < x.view().cols; ++c) x.set(r, c, static_cast<float>(saved.get(r, c) + h * d.get(r, c)));
      return forward();
    };
    const double slope = (at(kStep) - at(-kStep)) / (2 * kStep);
    at(0);
    ASSERT_NEAR(inner(grad, d) - inner(before, d), slope, 2e-3 * scale * norm(d)) << "trial " << trial;
  }
}

Matrix matrix(int64_t rows, int64_t cols, Random& random, float scale = 1.f) {
  return Matrix(DType::kF32, rows, cols).fill(random, scale);
}

TEST_P(Gradients, Linear) {
  const int64_t T = 5, N = 7, K = 32;
  Matrix x = matrix(T, K, random), dy = matrix(T, N, random), w = Matrix(DType::kF32, N, K, 0).fill(random), y(DType::kF32, T, N);
  Matrix b = Matrix(DType::kF32, 1, N, 0).fill(random);
  const WeightView weight{static_cast<const std::byte*>(w.view().data), DType::kF32, N, K, K * 4};
  const auto forward = [&] {
    const LinearSegment s{weight, b.view().row<float>(0), y};
    bench.ref.linear({.x = x, .segments = {&s, 1}, .alpha = 0.5f}, bench.stream);
    return inner(y, dy);
  };
  const Matrix dx0 = matrix(T, K, random), dw0 = matrix(N, K, random), db0 = Matrix(DType::kF32, 1, N, 0).fill(random);
  Matrix dx(dx0), dw(dw0), db(db0);
  table().linear_grad_input({.dy = dy, .weight = weight, .dx_acc = dx, .alpha = 0.5f}, bench.stream);
  table().linear_grad_weight({.dy = dy, .x = x, .dw_acc = dw, .db_acc = db.view().row<float>(0), .alpha = 0.5f}, bench.stream);
  expect_gradient(x, forward, dx, dx0, random, 10);
  expect_gradient(w, forward, dw, dw0, random, 3);
  expect_gradient(b, forward, db, db0, random, 3);
}

TEST_P(Gradients, LinearInputOfQuantizedWeights) {
  const RandomWeight w(DType::kQ4_K, 6, 256, random);
  Matrix x = matrix(3, 256, random), dy = matrix(3, 6, random), y(DType::kF32, 3, 6);
  const Matrix dx0 = matrix(3, 256, random);
  Matrix dx(dx0);
  table().linear_grad_input({.dy = dy, .weight = w.view, .dx_acc = dx}, bench.stream);
  expect_gradient(x, [&] {
    const LinearSegment s{w.view, nullptr, y};
    bench.ref.linear({.x = x, .segments = {&s, 1}}, bench.stream);
    return inner(y, dy);
  }, dx, dx0, random, 1);
}

TEST_P(Gradients, Norms) {
  for (const bool layer : {false, true})
    for (const int64_t groups : {1, 2}) {
      const int64_t T = 4, D = 24, d = D / groups;
      Matrix s = matrix(T, D, random), dy = matrix(T, D, random), y(DType::kF32, T, D);
      Matrix w = Matrix(DType::kF32, 1, d, 0).fill(random), b = Matrix(DType::kF32, 1, d, 0).fill(random);
      const auto forward = [&] {
        NormArgs a{.x = s, .y = y, .weight = w.view().row<float>(0), .eps = 1e-3f, .weight_offset = 1.f, .groups = groups};
        if (layer) a.bias = b.view().row<float>(0);
        (layer ? bench.ref.layer_norm : bench.ref.rms_norm)(a, bench.stream);
        return inner(y, dy);
      };
      const Matrix ds0 = matrix(T, D, random), dw0 = Matrix(DType::kF32, 1, d, 0).fill(random), db0(dw0);
      Matrix ds(ds0), dw(dw0), db(db0);
      const NormGradArgs a{.s = s, .dy = dy, .ds_acc = ds, .dw_acc = dw.view().row<float>(0),
                           .db_acc = layer ? db.view().row<float>(0) : nullptr, .weight = w.view().row<float>(0), .eps = 1e-3f,
                           .weight_offset = 1.f, .groups = groups};
      (layer ? table().layer_norm_grad : table().rms_norm_grad)(a, bench.stream);
      expect_gradient(s, forward, ds, ds0, random, 3);
      expect_gradient(w, forward, dw, dw0, random, 3);
      if (layer) expect_gradient(b, forward, db, db0, random, 3);
    }
}

TEST_P(Gradients, ActMulAndSoftcap) {
  using enum Activation;
  for (const Activation act : {kSilu, kGelu, kGeluTanh, kTanh, kSigmoid, kQuickGelu})
    for (const bool with_up : {false, true}) {
      Matrix gate = matrix(3, 9, random), up = matrix(3, 9, random), dy = matrix(3, 9, random), y(DType::kF32, 3, 9);
      const auto forward = [&] {
        ActMulArgs a{.gate = gate, .y = y, .act = act};
        if (with_up) a.up = up;
        bench.ref.act_mul(a, bench.stream);
        return inner(y, dy);
      };
      const Matrix dg0 = matrix(3, 9, random), du0 = matrix(3, 9, random);
      Matrix dg(dg0), du(du0);
      ActMulGradArgs a{.gate = gate, .dy = dy, .dgate_acc = dg, .act = act};
      if (with_up) a.up = up, a.dup_acc = du;
      table().act_mul_grad(a, bench.stream);
      expect_gradient(gate, forward, dg, dg0, random, 3);
      if (with_up) expect_gradient(up, forward, du, du0, random, 3);
    }
  Matrix x = matrix(2, 11, random), y(DType::kF32, 2, 11), dy = matrix(2, 11, random);
  const auto forward = [&] {
    bench.ref.softcap({.x = x, .y = y, .cap = 1.5f}, bench.stream);
    return inner(y, dy);
  };
  forward();
  const Matrix dx0 = matrix(2, 11, random);
  Matrix dx(dx0);
  table().softcap_grad({.y = y, .dy = dy, .dx_acc = dx, .cap = 1.5f}, bench.stream);
  expect_gradient(x, forward, dx, dx0, random, 3);
}

TEST_P(Gradients, RowCutoff) {
  const int64_t T = 4, D = 9;
  Matrix x(DType::kF32, T, D), dy = matrix(T, D, random), y(DType::kF32, T, D);
  const auto nearest = [&](int64_t t) {  // of a value to where the row is cut off: there the function has a corner
    double mean = 0, variance = 0, least = INFINITY;
    for (int64_t c = 0; c < D; ++c) mean += x.get(t, c) / double{D};
    for (int64_t c = 0; c < D; ++c) variance += (x.get(t, c) - mean) * (x.get(t, c) - mean) / D;
    for (int64_t c = 0; c < D; ++c) least = std::min(least, std::fabs(x.get(t, c) - mean - 0.4 * std::sqrt(variance)));
    return least;
  };
  for (int64_t t = 0; t < T; ++t) {
    do
      for (int64_t c = 0; c < D; ++c) x.set(t, c, normal(random, 3));
    while (nearest(t) < 0.15);
  }
  const RowCutoffArgs a{.x = x, .y = y, .deviations = 0.4f};
  const Matrix dx0 = matrix(T, D, random);
  Matrix dx(dx0);
  table().row_cutoff_grad({.forward = a, .dy = dy, .dx_acc = dx}, bench.stream);
  expect_gradient(x, [&] {
    bench.ref.row_cutoff(a, bench.stream);
    return inner(y, dy);
  }, dx, dx0, random, 2);
}

TEST_P(Gradients, MatchRms) {
  for (const float eps : {1e-3f, 10.f}) {
    Matrix x = matrix(4, 11, random), like = matrix(4, 11, random, 2), dy = matrix(4, 11, random), y(DType::kF32, 4, 11);
    const MatchRmsArgs a{.x = x, .like = like, .y = y, .eps = eps};
    const auto forward = [&] {
      bench.ref.match_rms(a, bench.stream);
      return inner(y, dy);
    };
    const Matrix dx0 = matrix(4, 11, random), dlike0 = matrix(4, 11, random);
    Matrix dx(dx0), dlike(dlike0);
    table().match_rms_grad({.forward = a, .dy = dy, .dx_acc = dx, .dlike_acc = dlike}, bench.stream);
    expect_gradient(x, forward, dx, dx0, random, 4);
    expect_gradient(like, forward, dlike, dlike0, random, 3);
  }
}

TEST_P(Gradients, UnfoldRows) {
  const int32_t x_start[] = {0, 5, 6, 6, 12}, halves[] = {0, 3, 4, 4, 7};
  for (const int32_t width : {1, 3, 5})
    for (const int32_t stride : {1, 2}) {
      const int32_t* y_start = stride == 1 ? x_start : halves;
      Matrix x = matrix(12, 6, random), dy = matrix(y_start[4], 6 * width, random), y(DType::kF32, y_start[4], 6 * width);
      const UnfoldRowsArgs a{.x = x, .x_start = x_start, .y_start = y_start, .count = 4, .width = width, .stride = stride, .y = y};
      const Matrix dx0 = matrix(12, 6, random);
      Matrix dx(dx0);
      table().unfold_rows_grad({.forward = a, .dy = dy, .dx_acc = dx}, bench.stream);
      expect_gradient(x, [&] {
        bench.ref.unfold_rows(a, bench.stream);
        return inner(y, dy);
      }, dx, dx0, random, 2);
    }
}

TEST_P(Gradients, Attention) {
  for (const int mode : {0, 1, 2, 3, 4, 5}) {
    const int64_t heads = 4, kv_heads = 2, hd = 8, vd = 6, T = 12;
    Matrix q = matrix(T, heads * hd, random), k = matrix(T, kv_heads * hd, random), v = matrix(T, kv_heads * vd, random);
    Matrix out(DType::kF32, T, heads * vd), dout = matrix(T, heads * vd, random);
    const int32_t q_start[] = {0, 5, 12}, kv_len[] = {5, 7};
    const float alibi[] = {0.1f, 0.2f, 0.05f, 0.3f};
    std::vector<float> lse(T * heads);
    AttentionArgs a{.q = q, .k = k, .v = v, .out = out, .heads = heads, .kv_heads = kv_heads, .scale = 0.35f, .lse = lse.data()};
    a.seqs.count = 2, a.seqs.q_start = q_start, a.seqs.kv_len = kv_len, a.seqs.max_q_len = 7, a.seqs.max_kv_len = 7;
    a.mask.causal = mode != 1;
    if (mode == 2) a.mask.window = 3;
    if (mode == 3) a.mod.softcap = 1.5f;
    if (mode == 4) a.mod.alibi = alibi;
    if (mode == 5) a.mask.chunk = 3;
    const auto forward = [&] {
      bench.ref.attention(a, bench.stream);
      return inner(out, dout);
    };
    forward();
    const Matrix dq0 = matrix(T, heads * hd, random), dk0 = matrix(T, kv_heads * hd, random), dv0 = matrix(T, kv_heads * vd, random);
    Matrix dq(dq0), dk(dk0), dv(dv0);
    table().attention_grad({.forward = a, .dout = dout, .dq_acc = dq, .dk_acc = dk, .dv_acc = dv}, bench.stream);
    expect_gradient(q, forward, dq, dq0, random, 2);
    expect_gradient(k, forward, dk, dk0, random, 2);
    expect_gradient(v, forward, dv, dv0, random, 2);
  }
}

TEST_P(Gradients, RelativeScores) {
  const int64_t heads = 4, kv_heads = 2, hd = 4, T = 12, buckets = 3;
  Matrix q = matrix(T, heads * hd, random), k = matrix(T, kv_heads * hd, random), v = matrix(T, kv_heads * hd, random);
  Matrix by_head = matrix(buckets, heads, random), by_query = matrix(T, heads * buckets, random), by_key = matrix(T, heads * buckets, random);
  Matrix out(DType::kF32, T, heads * hd), dout = matrix(T, heads * hd, random);
  const int32_t q_start[] = {0, 5, 12}, kv_len[] = {5, 7}, bucket[] = {0, 2, 1, 0, 2};
  std::vector<float> lse(T * heads);
  AttentionArgs a{.q = q, .k = k, .v = v, .out = out, .heads = heads, .kv_heads = kv_heads, .scale = 0.35f, .lse = lse.data()};
  a.seqs.count = 2, a.seqs.q_start = q_start, a.seqs.kv_len = kv_len, a.seqs.max_q_len = 7, a.seqs.max_kv_len = 7;
  a.mask.causal = false;
  a.mod.relative = {.bucket = bucket, .reach = 2, .buckets = buckets, .by_head = by_head, .by_query = by_query, .by_key = by_key};
  const auto forward = [&] {
    bench.ref.attention(a, bench.stream);
    return inner(out, dout);
  };
  forward();
  Matrix dq(DType::kF32, T, heads * hd), dk(DType::kF32, T, kv_heads * hd), dv(DType::kF32, T, kv_heads * hd);
  dq.fill(0.f), dk.fill(0.f), dv.fill(0.f);
  const Matrix dh0 = matrix(buckets, heads, random), dbq0 = matrix(T, heads * buckets, random), dbk0 = matrix(T, heads * buckets, random);
  Matrix dh(dh0), dbq(dbq0), dbk(dbk0);
  table().attention_grad({.forward = a, .dout = dout, .dq_acc = dq, .dk_acc = dk, .dv_acc = dv, .by_head_acc = dh, .by_query_acc = dbq,
                          .by_key_acc = dbk}, bench.stream);
  expect_gradient(by_head, forward, dh, dh0, random, 2);
  expect_gradient(by_query, forward, dbq, dbq0, random, 2);
  expect_gradient(by_key, forward, dbk, dbk0, random, 2);
}

TEST_P(Gradients, CrossEntropy) {
  Matrix logits = matrix(4, 13, random, 2.f), d(DType::kF32, 4, 13);
  const int32_t labels[] = {3, -100, 12, 0};
  float loss[4];
  table().cross_entropy({.logits = logits, .labels = labels, .loss = loss, .dlogits = d, .scale = 0.25f}, bench.stream);
  EXPECT_EQ(loss[1], 0.f);
  const Matrix zero = Matrix(DType::kF32, 4, 13).fill(0.f);
  expect_gradient(logits, [&] {
    float l[4];
    bench.ref.cross_entropy({.logits = logits, .labels = labels, .loss = l, .dlogits = {}}, bench.stream);
    return 0.25 * (double{l[0]} + l[1] + l[2] + l[3]);
  }, d, zero, random, 1);
}

TEST_P(Gradients, ScatterIsTheTransposeOfGather) {
  const int32_t rows[] = {2, 0, 2};
  const Matrix x = matrix(3, 5, random);
  Matrix y = matrix(4, 5, random);
  const Matrix before(y);
  table().scatter_rows({.x = x, .rows = rows, .y_acc = y, .scale = 2.f}, bench.stream);
  for (int64_t c = 0; c < 5; ++c) {
    EXPECT_NEAR(y.get(2, c), before.get(2, c) + 2 * (x.get(0, c) + x.get(2, c)), 1e-5);
    EXPECT_NEAR(y.get(0, c), before.get(0, c) + 2 * x.get(1, c), 1e-5);
    EXPECT_EQ(y.get(1, c), before.get(1, c));
    EXPECT_EQ(y.get(3, c), before.get(3, c));
  }
}

// Two steps by hand, from the paper's formula.
TEST_P(Gradients, AdamW) {
  std::vector<float> p = {1.f, -2.f}, m = {0, 0}, v = {0, 0};
  const std::vector<float> g = {0.5f, -0.1f};
  for (int64_t step = 1; step <= 2; ++step)
    table().adamw({.param = p.data(), .m = m.data(), .v = v.data(), .grad = g.data(), .size = 2, .lr = 0.1f, .beta1 = 0.9f, .beta2 = 0.99f,
                   .eps = 1e-8f, .weight_decay = 0.01f, .step = step}, bench.stream);
  // With a constant gradient both corrected moments equal g and g²: each step is -lr * sign(g) after the decay.
  EXPECT_NEAR(p[0], (1.0 * 0.999 - 0.1) * 0.999 - 0.1, 1e-6);
  EXPECT_NEAR(p[1], (-2.0 * 0.999 + 0.1) * 0.999 + 0.1, 1e-6);
}

}  // namespace
}  // namespace transom::test
