// Recurrences of every table: against the reference, and against themselves, bit for bit, with each sequence in pieces, its
// state kept in a slot between them.
#include <functional>
#include <numeric>

#include "kernels/data.h"

namespace transom::test {
namespace {

using Recurrence = TableTest;
INSTANTIATE_TEST_SUITE_P(Tables, Recurrence, testing::ValuesIn(available_kernels()), table_name);

ConstView part(const Matrix& m, int64_t begin, int64_t rows) {
  ConstView v = m;
  v.data = static_cast<const std::byte*>(v.data) + begin * v.stride * info(v.dtype).bytes;
  v.rows = rows;
  return v;
}
View part(const View& m, int64_t begin, int64_t rows) {
  View v = m;
  v.data = static_cast<std::byte*>(v.data) + begin * v.stride * info(v.dtype).bytes;
  v.rows = rows;
  return v;
}

std::vector<float> vector_of(Random& random, int64_t n, float scale = 1.f) {
  std::vector<float> v(n);
  for (float& x : v) x = normal(random, scale);
  return v;
}

// What a kernel computes for rows [begin, begin + rows) of the inputs.
struct Piece {
  int64_t begin, rows;
  View y;
  RecurrentTable seqs;
  View state;
};
using Run = std::function<void(const Kernels&, Stream&, const Piece&)>;

constexpr int64_t kLengths[] = {1, 33, 7, 2};
constexpr int64_t kRows = 43;

struct Result {
  Matrix y, state;
};

// All sequences in one step, from their beginnings; the slots hold numbers from before.
Result together(const Kernels& k, Stream& s, const Run& run, DType type, int64_t cols, int64_t size) {
  Result r{Matrix(type, kRows, cols), Matrix(DType::kF32, 5, size, 0).fill(7.f)};
  const std::vector<int32_t> q_start = {0, 1, 34, 41, 43}, slots = {3, 0, 4, 1}, before = {0, 0, 0, 0};
  run(k, s, {0, kRows, r.y, {4, q_start.data(), slots.data(), before.data()}, r.state});
  return r;
}

// Each sequence by itself, `step` rows at a time.
Result in_pieces(const Kernels& k, Stream& s, const Run& run, DType type, int64_t cols, int64_t size, int64_t step) {
  Result r{Matrix(type, kRows, cols), Matrix(DType::kF32, 5, size, 0).fill(7.f)};
  const int32_t slots[] = {3, 0, 4, 1};
  int64_t first = 0;
  for (size_t i = 0; i < std::size(kLengths); first += kLengths[i++])
    for (int64_t at = 0; at < kLengths[i]; at += step) {
      const int64_t rows = std::min(step, kLengths[i] - at);
      const int32_t q_start[] = {0, static_cast<int32_t>(rows)}, before = static_cast<int32_t>(at);
      run(k, s, {first + at, rows, part(r.y.view(), first + at, rows), {1, q_start, &slots[i], &before}, r.state});
    }
  return r;
}

void check(const Kernels& k, Bench& b, const Run& run, DType type, int64_t cols, int64_t size, double relative) {
  const Result want = together(b.ref, b.stream, run, type, cols, size), got = together(k, b.stream, run, type, cols, size);
  expect_close(got.y, want.y, relative, 1);
  expect_close(got.state, want.state, relative, 1);
  for (const int64_t step : {1, 5}) {
    const Result pieces = in_pieces(k, b.stream, run, type, cols, size, step);
    EXPECT_TRUE(pieces.y.same_bytes(got.y)) << "steps of " << step;
    EXPECT_TRUE(pieces.state.same_bytes(got.state)) << "steps of " << step;
  }
  Matrix alone(type, kRows, cols);  // nothing is kept
  const std::vector<int32_t> q_start = {0, 1, 34, 41, 43};
  run(k, b.stream, {0, kRows, alone, {4, q_start.data(), nullptr, nullptr}, {}});
  EXPECT_TRUE(alone.same_bytes(got.y));
}

TEST_P(Recurrence, CausalConv) {
  for (const DType type : activations)
    for (const int64_t cols : {1, 19, 64})
      for (const int64_t width : {1, 2, 4}) {
        const Matrix x = Matrix(type, kRows, cols).fill(random);
        const std::vector<float> weight = vector_of(random, cols * width), bias = vector_of(random, cols);
        for (const bool has_bias : {false, true})
          check(table(), bench, [&](const Kernels& k, Stream& s, const Piece& p) {
            k.causal_conv({.x = part(x, p.begin, p.rows), .weight = weight.data(), .bias = has_bias ? bias.data() : nullptr, .width = width,
                           .y = p.y, .seqs = p.seqs, .state = p.state}, s);
          }, type, cols, (width - 1) * cols, 1e-6);
      }
}

TEST_P(Recurrence, LinearRecurrence) {
  struct Shape {
    int64_t heads, key_heads, dk, dv;
  };
  for (const DType type : activations)
    for (const Shape d : {Shape{1, 1, 3, 5}, Shape{4, 2, 16, 32}, Shape{3, 1, 9, 70}})
      for (const bool delta : {false, true}) {
        const float size = 1 / std::sqrt(static_cast<float>(d.dk));  // keys of about unit length
        const Matrix q = Matrix(type, kRows, d.key_heads * d.dk).fill(random, size), k = Matrix(type, kRows, d.key_heads * d.dk).fill(random, size);
        const Matrix v = Matrix(type, kRows, d.heads * d.dv).fill(random);
        Matrix decay(DType::kF32, kRows, d.heads), factor(type, kRows, d.heads);
        for (int64_t t = 0; t < kRows; ++t)
          for (int64_t h = 0; h < d.heads; ++h) {
            decay.set(t, h, -std::abs(normal(random, 0.3f)));
            factor.set(t, h, 1 / (1 + std::exp(normal(random))));
          }
        const std::vector<float> skip = vector_of(random, d.heads);
        check(table(), bench, [&](const Kernels& kernels, Stream& s, const Piece& p) {
          kernels.linear_recurrence({.q = part(q, p.begin, p.rows), .k = part(k, p.begin, p.rows), .v = part(v, p.begin, p.rows),
                                     .log_decay = part(decay, p.begin, p.rows), .factor = part(factor, p.begin, p.rows),
                                     .skip = delta ? nullptr : skip.data(), .y = p.y, .heads = d.heads, .key_heads = d.key_heads,
                                     .scale = 0.7f, .delta = delta, .seqs = p.seqs, .state = p.state}, s);
        }, type, d.heads * d.dv, d.heads * d.dk * d.dv, 1e-5);
      }
}

TEST_P(Recurrence, SelectiveScan) {
  for (const DType type : activations)
    for (const int64_t cols : {1, 19, 64})
      for (const int64_t n : {1, 6, 16}) {
        const Matrix x = Matrix(type, kRows, cols).fill(random), dt = Matrix(type, kRows, cols).fill(random, 2.f);
        const Matrix b = Matrix(type, kRows, n).fill(random), c = Matrix(type, kRows, n).fill(random);
        const std::vector<float> a_log = vector_of(random, cols * n), skip = vector_of(random, cols);
        check(table(), bench, [&](const Kernels& k, Stream& s, const Piece& p) {
          k.selective_scan({.x = part(x, p.begin, p.rows), .dt = part(dt, p.begin, p.rows), .b = part(b, p.begin, p.rows),
                            .c = part(c, p.begin, p.rows), .a_log = a_log.data(), .skip = skip.data(), .y = p.y, .seqs = p.seqs,
                            .state = p.state}, s);
        }, type, cols, cols * n, 1e-5);
      }
}

TEST_P(Recurrence, Wkv) {
  for (const DType type : activations)
    for (const int64_t cols : {1, 19, 64}) {
      const Matrix k = Matrix(type, kRows, cols).fill(random, 3.f), v = Matrix(type, kRows, cols).fill(random);
      const std::vector<float> decay = vector_of(random, cols), first = vector_of(random, cols);
      check(table(), bench, [&](const Kernels& kernels, Stream& s, const Piece& p) {
        kernels.wkv({.k = part(k, p.begin, p.rows), .v = part(v, p.begin, p.rows), .decay = decay.data(), .first = first.data(), .y = p.y,
                     .seqs = p.seqs, .state = p.state}, s);
      }, type, cols, 3 * cols, 1e-5);
    }
}

TEST_P(Recurrence, TimeStep) {
  for (const DType type : activations)
    for (const int64_t cols : {1, 19, 64}) {
      Matrix x = Matrix(type, kRows, cols).fill(random, 6.f);
      x.set(0, 0, 60.f);
      x.set(1, 0, -60.f);
      const std::vector<float> bias = vector_of(random, cols), a_log = vector_of(random, cols);
      for (const float most : {1.5f, 1e30f}) {
        Matrix dt(DType::kF32, kRows, cols), decay(DType::kF32, kRows, cols), want_dt = dt, want_decay = decay;
        TimeStepArgs a{.x = x, .bias = bias.data(), .a_log = a_log.data(), .least = 1e-3f, .most = most, .dt = dt, .log_decay = decay};
        table().time_step(a, bench.stream);
        a.dt = want_dt;
        a.log_decay = want_decay;
        bench.ref.time_step(a, bench.stream);
        expect_close(dt, want_dt, 1e-6, 1e-3);
        expect_close(decay, want_decay, 1e-6, 1e-3);
      }
    }
}

}  // namespace
}  // namespace transom::test
