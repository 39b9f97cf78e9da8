// Element-wise rows, norms, rotary embedding, gathers and cache writes of every table against the reference.
#include "kernels/data.h"

namespace transom::test {
namespace {

using Rows = TableTest;
INSTANTIATE_TEST_SUITE_P(Tables, Rows, testing::ValuesIn(fast_tables()), table_name);

const int64_t kCols[] = {1, 3, 8, 15, 16, 17, 31, 64, 127, 576};

TEST_P(Rows, Norms) {
  for (const DType type : activations)
    for (const int64_t cols : kCols)
      for (const bool layer : {false, true})
        for (const int mode : {0, 1, 2, 3}) {  // bit 0: pending, bit 1: sum
          const int64_t rows = 1 + cols % 5, groups = cols % 2 == 0 && cols >= 16 ? 2 : 1, d = cols / groups;
          const Matrix x = Matrix(type, rows, cols).fill(random, 3.f), pending = Matrix(DType::kF32, rows, cols).fill(random);
          std::vector<float> w(d), b(d);
          for (float& f : w) f = normal(random);
          for (float& f : b) f = normal(random);
          Matrix y(type, rows, cols), want(type, rows, cols), sum(type, rows, cols), want_sum(type, rows, cols);
          NormArgs a{.x = x, .weight = w.data(), .eps = 1e-5f, .weight_offset = 1.f, .pending_scale = 0.7f, .groups = groups};
          if (layer) a.bias = b.data();
          if (mode & 1) a.pending = pending;
          const auto run = [&](const Kernels& k, const Matrix& out, const Matrix& total) {
            a.y = out;
            if (mode & 2) a.sum = total;
            (layer ? k.layer_norm : k.rms_norm)(a, bench.stream);
          };
          run(bench.ref, want, want_sum);
          run(table(), y, sum);
          // A sum rounded to a narrow type may differ in its last bit, which then is normed.
          const double inner = mode == 3 ? 4 * rounding(type) : 0;
          expect_close(y, want, 4e-6 + inner, 3.0);
          if (mode & 2) expect_close(sum, want_sum, 1e-6, 1.0);
        }
}

TEST_P(Rows, NormsInPlaceWithoutWeight) {
  const Matrix x = Matrix(DType::kF32, 3, 70).fill(random);
  Matrix y(x), want(DType::kF32, 3, 70);
  bench.ref.rms_norm({.x = x, .y = want}, bench.stream);
  table().rms_norm({.x = y, .y = y}, bench.stream);
  expect_close(y, want, 4e-6, 1.0);
}

TEST_P(Rows, LayerNormOfALargeMean) {
  Matrix x(DType::kF32, 2, 768), y(DType::kF32, 2, 768), want(DType::kF32, 2, 768);
  for (int64_t r = 0; r < 2; ++r)
    for (int64_t c = 0; c < 768; ++c) x.set(r, c, 1000.f + normal(random));
  bench.ref.layer_norm({.x = x, .y = want}, bench.stream);
  table().layer_norm({.x = x, .y = y}, bench.stream);
  expect_close(y, want, 3e-4, 1.0);  // the mean itself is only known to 1000 * 2^-24
}

TEST_P(Rows, Activations) {
  using enum Activation;
  for (const Activation act : {kSilu, kGelu, kGeluTanh, kRelu, kTanh, kSigmoid, kQuickGelu, kRelu2})
    for (const DType type : activations)
      for (const bool up : {false, true}) {
        const int64_t cols = 4001;
        Matrix gate(type, 2, cols), u = Matrix(type, 2, cols).fill(random), y(type, 2, cols), want(type, 2, cols);
        for (int64_t c = 0; c < cols; ++c) {
          gate.set(0, c, -20.f + 0.01f * static_cast<float>(c));
          gate.set(1, c, std::exp(normal(random, 8.f)) * (c % 2 ? 1.f : -1.f) * 1e-3f);
        }
        ActMulArgs a{.gate = gate, .act = act};
        if (up) a.up = u;
        a.y = want;
        bench.ref.act_mul(a, bench.stream);
        a.y = y;
        table().act_mul(a, bench.stream);
        // exp(x) amplifies the rounding of its argument by |x|: at the tails the values are small, never wrong by more.
        expect_close(y, want, 1.5e-6, 1e-6);
      }
}

TEST_P(Rows, ActivationsNearTheirCentreAreAccurate) {  // where the arguments' rounding is not amplified
  using enum Activation;
  for (const Activation act : {kSilu, kGelu, kGeluTanh, kTanh, kSigmoid, kQuickGelu}) {
    Matrix x(DType::kF32, 1, 8000), y(DType::kF32, 1, 8000), want(DType::kF32, 1, 8000);
    for (int64_t c = 0; c < 8000; ++c) x.set(0, c, -2.f + 0.0005f * static_cast<float>(c));
    bench.ref.act_mul({.gate = x, .y = want, .act = act}, bench.stream);
    table().act_mul({.gate = x, .y = y, .act = act}, bench.stream);
    expect_close(y, want, 4e-7, 1e-30);
  }
}

TEST_P(Rows, Extremes) {
  using enum Activation;
  const float inf = std::numeric_limits<float>::infinity();
  const float values[] = {0.f, -0.f, inf, -inf, NAN, 3e38f, -3e38f, 1e-40f, -1e-40f, 88.f, -88.f, 104.f, -104.f, 1e4f, -1e4f};
  const int64_t n = std::size(values);
  for (const Activation act : {kSilu, kGeluTanh, kRelu, kTanh, kSigmoid, kQuickGelu, kRelu2}) {
    Matrix x(DType::kF32, 1, n), y(DType::kF32, 1, n), want(DType::kF32, 1, n);
    for (int64_t c = 0; c < n; ++c) x.set(0, c, values[c]);
    bench.ref.act_mul({.gate = x, .y = want, .act = act}, bench.stream);
    table().act_mul({.gate = x, .y = y, .act = act}, bench.stream);
    for (int64_t c = 0; c < n; ++c) {
      if (std::isnan(want.get(0, c))) continue;  // inf * 0 in the formula
      if (std::isinf(want.get(0, c))) EXPECT_EQ(y.get(0, c), want.get(0, c)) << values[c];
      else EXPECT_NEAR(y.get(0, c), want.get(0, c), 1e-6 * std::abs(want.get(0, c)) + 1e-36) << values[c];
    }
  }
  Matrix x(DType::kF32, 1, 1), y(DType::kF32, 1, 1);
  x.set(0, 0, NAN);
  table().act_mul({.gate = x, .y = y, .act = kSilu}, bench.stream);
  EXPECT_TRUE(std::isnan(y.get(0, 0)));
}

TEST_P(Rows, AxpbySoftcapGather) {
  for (const DType from : activations)
    for (const DType to : activations)
      for (const int64_t cols : kCols) {
        const Matrix x = Matrix(from, 3, cols).fill(random, 2.f), old = Matrix(to, 3, cols).fill(random);
        for (const float b : {0.f, -0.5f}) {
          Matrix y(old), want(old);
          bench.ref.axpby({.x = x, .y = want, .a = 1.5f, .b = b}, bench.stream);
          table().axpby({.x = x, .y = y, .a = 1.5f, .b = b}, bench.stream);
          expect_close(y, want, 2e-7, 2.0);
        }
        Matrix y(to, 3, cols), want(to, 3, cols);
        bench.ref.softcap({.x = x, .y = want, .cap = 1.3f}, bench.stream);
        table().softcap({.x = x, .y = y, .cap = 1.3f}, bench.stream);
        expect_close(y, want, 4e-7, 1e-30);
        bench.ref.clamp({.x = x, .y = want, .limit = 0.7f}, bench.stream);
        table().clamp({.x = x, .y = y, .limit = 0.7f}, bench.stream);
        EXPECT_TRUE(y.same_bytes(want));
        const int32_t rows[] = {2, 0, 2, 1, 1};
        Matrix g(to, 5, cols), want_g(to, 5, cols);
        bench.ref.gather_rows({.x = x, .rows = rows, .y = want_g}, bench.stream);
        table().gather_rows({.x = x, .rows = rows, .y = g}, bench.stream);
        EXPECT_TRUE(g.same_bytes(want_g));
      }
}

// Against sums written out: most tables take these rows from the reference.
TEST_P(Rows, RowsThatFewModelsNeed) {
  const Matrix x = Matrix(DType::kF32, 2, 101).fill(random, 2.f);
  Matrix y(DType::kF32, 2, 101);
  table().row_cutoff({.x = x, .y = y, .deviations = 0.8f}, bench.stream);
  for (int64_t r = 0; r < 2; ++r) {
    double sum = 0, squares = 0;
    for (int64_t c = 0; c < 101; ++c) sum += x.get(r, c), squares += double{x.get(r, c)} * x.get(r, c);
    const double mean = sum / 101, cutoff = mean + 0.8 * std::sqrt(squares / 101 - mean * mean);
    for (int64_t c = 0; c < 101; ++c) EXPECT_NEAR(y.get(r, c), std::max(0.0, x.get(r, c) - cutoff), 1e-5);
  }
  const float factors[] = {2.f, -3.f};
  Matrix two(DType::kF32, 2, 2), scaled(DType::kF32, 2, 2);
  two.fill(random);
  for (const bool whole : {false, true}) {
    table().scale_columns({.x = two, .factors = factors, .whole = whole, .y = scaled}, bench.stream);
    for (int64_t c = 0; c < 2; ++c) EXPECT_EQ(scaled.get(1, c), two.get(1, c) * factors[whole ? 0 : c]);
  }
  const Matrix like = Matrix(DType::kF32, 2, 101).fill(random, 5.f);
  table().match_rms({.x = x, .like = like, .y = y, .eps = 1e-5f}, bench.stream);
  for (int64_t r = 0; r < 2; ++r) {
    double want = 0, got = 0;
    for (int64_t c = 0; c < 101; ++c) want += double{like.get(r, c)} * like.get(r, c), got += double{y.get(r, c)} * y.get(r, c);
    EXPECT_NEAR(got / want, 1, 1e-5);
    EXPECT_NEAR(y.get(r, 7) / y.get(r, 8), x.get(r, 7) / x.get(r, 8), 1e-4);
  }
  const int32_t positions[] = {0, 8, 15, 16, 47};
  Matrix f(DType::kF32, 5, 1);
  table().position_growth({.positions = positions, .rule = {.slope = 0.5f, .length = 16, .offset = 1}, .y = f}, bench.stream);
  for (int i = 0; i < 5; ++i) EXPECT_NEAR(f.get(i, 0), 1 + 0.5 * std::log(std::max(1.0, (positions[i] + 1) / 16.0)), 1e-6);
  table().position_growth({.positions = positions, .rule = {.slope = 0.5f, .length = 16, .steps = true}, .y = f}, bench.stream);
  for (int i = 0; i < 5; ++i) EXPECT_NEAR(f.get(i, 0), 1 + 0.5 * std::log(1.0 + positions[i] / 16), 1e-6);
}

TEST_P(Rows, UnfoldedSequences) {
  const int32_t from[] = {0, 7, 7, 8, 30}, halves[] = {0, 4, 4, 5, 16};
  for (const DType type : activations)
    for (const int64_t cols : {1, 8, 33, 400})
      for (const int32_t stride : {1, 2}) {
        const int32_t* to = stride == 1 ? from : halves;
        for (const DType given : {type, DType::kF32}) {
          const Matrix x = Matrix(given, 30, cols).fill(random);
          Matrix y(type, to[4], cols * 3), want(type, to[4], cols * 3);
          UnfoldRowsArgs a{.x = x, .x_start = from, .y_start = to, .count = 4, .width = 3, .stride = stride, .y = want};
          bench.ref.unfold_rows(a, bench.stream);
          a.y = y;
          table().unfold_rows(a, bench.stream);
          EXPECT_TRUE(y.same_bytes(want));
        }
      }
}

TEST_P(Rows, LongRowsAreSharedAmongThreads) {
  const Matrix x = Matrix(DType::kF32, 1, 70001).fill(random, 20.f);
  Matrix y(DType::kF32, 1, 70001), want(DType::kF32, 1, 70001);
  bench.ref.softcap({.x = x, .y = want, .cap = 30.f}, bench.stream);
  table().softcap({.x = x, .y = y, .cap = 30.f}, bench.stream);
  expect_close(y, want, 4e-7, 1e-30);
}

TEST_P(Rows, RopeTable) {
  const int64_t half = 33;
  std::vector<int32_t> positions = {0, 1, 2, 511, 8191, 131071, 999983};
  std::vector<float> inv_freq(half);
  for (int64_t i = 0; i < half; ++i) inv_freq[i] = static_cast<float>(std::pow(10000.0, -static_cast<double>(i) / half));
  const auto rows = static_cast<int64_t>(positions.size());
  Matrix c(DType::kF32, rows, half), s(DType::kF32, rows, half), want_c(DType::kF32, rows, half), want_s(DType::kF32, rows, half);
  RopeTableArgs a{.positions = positions.data(), .inv_freq = inv_freq.data(), .scale = 1.1f, .cos = want_c, .sin = want_s};
  // Of one axis, and of three, which frequencies take in turn.
  std::vector<int32_t> three(positions), axis(half);
  for (const int32_t factor : {3, 7})
    for (const int32_t p : positions) three.push_back(factor * p + 1);
  for (int64_t i = 0; i < half; ++i) axis[i] = static_cast<int32_t>(i % 3);
  for (const bool of_three : {false, true}) {
    a.positions = of_three ? three.data() : positions.data();
    a.axis = of_three ? axis.data() : nullptr;
    a.cos = want_c, a.sin = want_s;
    bench.ref.rope_table(a, bench.stream);
    for (int64_t t = 0; t < rows; ++t)
      for (int64_t i = 0; i < half; ++i) {
        const float angle = static_cast<float>(of_three ? three[(i % 3) * rows + t] : positions[t]) * inv_freq[i];
        EXPECT_EQ(want_c.get(t, i), static_cast<float>(std::cos(double{angle}) * 1.1f));
      }
    a.cos = c, a.sin = s;
    table().rope_table(a, bench.stream);
    expect_close(c, want_c, 0, 0);
    expect_close(s, want_s, 0, 0);
  }
}

TEST_P(Rows, Rope) {
  for (const DType type : activations)
    for (const int64_t head_dim : {8, 18, 64, 80})
      for (const bool interleaved : {false, true})
        for (const bool inverse : {false, true}) {
          const int64_t half = head_dim == 80 ? 16 : head_dim / 2, first = head_dim - 2 * half;
          const Matrix x = Matrix(type, 5, 3 * head_dim).fill(random);
          const Matrix c = Matrix(DType::kF32, 5, half).fill(random), s = Matrix(DType::kF32, 5, half).fill(random);
          Matrix y(x), want(x);
          RopeArgs a{.x = want, .cos = c, .sin = s, .heads = 3, .first = first, .interleaved = interleaved, .inverse = inverse};
          bench.ref.rope(a, bench.stream);
          a.x = y;
          table().rope(a, bench.stream);
          expect_close(y, want, 3e-7, 1.0);
        }
}

TEST_P(Rows, KvWrite) {
  for (const DType from : activations)
    for (const DType to : activations) {
      const Matrix k = Matrix(from, 4, 48).fill(random), v = Matrix(from, 4, 40).fill(random);
      const int32_t slots[] = {17, 3, 31, 0};
      Matrix kc = Matrix(to, 32, 48).fill(0.f), vc = Matrix(to, 32, 40).fill(0.f), want_k(kc), want_v(vc);
      bench.ref.kv_write({.k = k, .v = v, .slots = slots, .k_cache = want_k, .v_cache = want_v}, bench.stream);
      table().kv_write({.k = k, .v = v, .slots = slots, .k_cache = kc, .v_cache = vc}, bench.stream);
      EXPECT_TRUE(kc.same_bytes(want_k));
      EXPECT_TRUE(vc.same_bytes(want_v));
    }
}

TEST_P(Rows, Embedding) {
  for (const DType weight : weight_types())
    for (const DType type : activations) {
      const int64_t cols = info(weight).block == 256 ? 512 : info(weight).block == 32 ? 96 : 67;
      const RandomWeight w(weight, 11, cols, random);
      const int32_t ids[] = {10, 0, 3, 3};
      Matrix y(type, 4, cols), want(type, 4, cols);
      bench.ref.embedding({.weight = w.view, .ids = ids, .y = want, .scale = 3.f}, bench.stream);
      table().embedding({.weight = w.view, .ids = ids, .y = y, .scale = 3.f}, bench.stream);
      SCOPED_TRACE(name(weight));
      expect_close(y, want, 1e-6, 0.3);
    }
}

TEST(Tables, AreChosenByName) {
  const auto names = available_kernels();
  EXPECT_EQ(names.back(), "ref");
  EXPECT_STREQ(kernels_by_name("auto").name, std::string(names.front()).c_str());
  for (const std::string_view n : names) EXPECT_EQ(kernels_by_name(n).name, n);
  EXPECT_THROW(kernels_by_name("avx1024"), std::exception);
}

}  // namespace
}  // namespace transom::test
