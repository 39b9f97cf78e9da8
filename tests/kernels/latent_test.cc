// head_linear of every table against the reference: every weight format, activation types and ragged sizes, both directions; and
// the reference's latent attention against plain attention over keys and values that are formed first.
#include "kernels/data.h"

namespace transom::test {
namespace {

using Latent = TableTest;
INSTANTIATE_TEST_SUITE_P(Tables, Latent, testing::ValuesIn(fast_tables()), table_name);

TEST_P(Latent, HeadLinear) {
  constexpr int64_t kHeads = 3, kRows = 7, kFirst = 2, kEvery = 11;
  for (const DType type : weight_types())
    for (const DType activation : activations) {
      const int64_t cols = info(type).block == 256 ? 256 : info(type).block == 32 ? 96 : 67;
      const RandomWeight w(type, kHeads * kEvery, cols, random);
      for (const bool transposed : {false, true})
        for (const int64_t T : {1, 4, 33}) {
          const int64_t in = transposed ? kRows : cols, out = transposed ? cols : kRows;
          // A column more than is read, and two more than are written, stand between the heads.
          const Matrix x = Matrix(activation, T, kHeads * (in + 1)).fill(random);
          Matrix y = Matrix(activation, T, kHeads * (out + 2)).fill(0.5f), want(y);
          HeadLinearArgs a{.x = x, .weight = w.view, .y = want, .heads = kHeads, .first = kFirst, .rows = kRows, .transposed = transposed};
          bench.ref.head_linear(a, bench.stream);
          a.y = y;
          table().head_linear(a, bench.stream);
          double largest = 0;
          for (int64_t t = 0; t < T; ++t)
            for (int64_t c = 0; c < y.view().cols; ++c) largest = std::max(largest, std::abs(double{want.get(t, c)}));
          expect_close(y, want, is_quantized(type) ? 1e-4 : 1e-5, largest);
          if (HasFatalFailure()) return;
          for (int64_t t = 0; t < T; ++t)
            for (int64_t h = 0; h < kHeads; ++h)
              for (int64_t c = out; c < out + 2; ++c) ASSERT_EQ(y.get(t, h * (out + 2) + c), 0.5f);
        }
    }
}

TEST(LatentAttention, EqualsAttentionOverFormedKeysAndValues) {
  Bench bench;
  Random random{5};
  constexpr int64_t kHeads = 3, kNope = 5, kRope = 4, kValue = 6, kLatent = 8, T = 9, kQuery = kNope + kRope, kEach = kNope + kValue;
  const int32_t q_start[] = {0, 6, 9}, lengths[] = {6, 3};
  const SequenceTable seqs{.count = 2, .q_start = q_start, .kv_len = lengths, .max_q_len = 6, .max_kv_len = 6};
  const Matrix q = Matrix(DType::kF32, T, kHeads * kQuery).fill(random), latent = Matrix(DType::kF32, T, kLatent).fill(random);
  const Matrix rope = Matrix(DType::kF32, T, kRope).fill(random);
  const RandomWeight w(DType::kF32, kHeads * kEach, kLatent, random, 0);
  Matrix kv(DType::kF32, T, kHeads * kEach), k(DType::kF32, T, kHeads * kQuery), v(DType::kF32, T, kHeads * kValue);
  const LinearSegment form{w.view, nullptr, kv};
  bench.ref.linear({.x = latent, .segments = {&form, 1}}, bench.stream);
  for (int64_t t = 0; t < T; ++t)
    for (int64_t h = 0; h < kHeads; ++h) {
      for (int64_t c = 0; c < kQuery; ++c) k.set(t, h * kQuery + c, c < kNope ? kv.get(t, h * kEach + c) : rope.get(t, c - kNope));
      for (int64_t c = 0; c < kValue; ++c) v.set(t, h * kValue + c, kv.get(t, h * kEach + kNope + c));
    }
  for (const int32_t window : {0, 3}) {
    Matrix got(DType::kF32, T, kHeads * kValue), want(DType::kF32, T, kHeads * kValue);
    bench.ref.attention({.q = q, .k = k, .v = v, .out = want, .seqs = seqs, .heads = kHeads, .kv_heads = kHeads, .scale = 0.4f,
                         .mask = {.window = window}}, bench.stream);
    bench.ref.latent_attention({.q = q, .latent = latent, .rope = rope, .weight = w.view, .out = got, .seqs = seqs, .heads = kHeads,
                                .scale = 0.4f, .mask = {.window = window}}, bench.stream);
    expect_close(got, want, 1e-6, 1.0);
  }
}

}  // namespace
}  // namespace transom::test
