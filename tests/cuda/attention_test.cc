// attention of the CUDA table against the reference: masks, windows, score modifications, grouped heads, cache types, pages,
// several sequences in one call; and independence of a row's result from how its keys came there, bit for bit.
#include <algorithm>
#include <utility>

#include "cuda/device.h"

namespace transom::test {
namespace {

using CudaAttention = CudaTest;

struct Shape {
  int64_t heads, kv_heads, head_dim, v_dim;
};
struct Length {
  int32_t q, kv;  // this step's tokens, and all
};

// Sequences over paged caches (page_size > 0, pages shuffled) or packed rows, and the arguments over them.
struct Problem {
  Shape shape;
  std::vector<Length> lengths;
  int32_t page_size, window, max_pages = 0, max_q = 0, max_kv = 0;
  Matrix q, k, v;
  Array<int32_t> q_start, kv_len, pages;

  Problem(Shape s, std::vector<Length> l, int32_t page, int32_t w, DType type, DType cache, Random& random)
      : shape(s), lengths(std::move(l)), page_size(page), window(w), q(type, rows(), s.heads * s.head_dim),
        k(cache, page ? page_count() * page : rows(), s.kv_heads * s.head_dim), v(cache, k.rows(), s.kv_heads * s.v_dim),
        q_start(starts()), kv_len(lasts()), pages(table(random)) {
    q.fill(random), k.fill(random), v.fill(random);
    for (const Length& x : lengths) max_q = std::max(max_q, x.q), max_kv = std::max(max_kv, x.kv);
  }
  Matrix out(DType type) const { return {type, rows(), shape.heads * shape.v_dim}; }
  AttentionArgs args(Side side, const Matrix& to) const {
    AttentionArgs a{.q = q.on(side), .k = k.on(side), .v = v.on(side), .out = to.on(side), .seqs = {}, .heads = shape.heads,
                    .kv_heads = shape.kv_heads, .scale = 1.5f / std::sqrt(static_cast<float>(shape.head_dim)), .mask = {.window = window}, .mod = {}};
    a.seqs = {.count = static_cast<int32_t>(lengths.size()), .q_start = q_start.on(side), .kv_len = kv_len.on(side),
              .pages = page_size ? pages.on(side) : nullptr, .max_pages = max_pages, .page_size = page_size, .max_q_len = max_q, .max_kv_len = max_kv};
    return a;
  }

 private:
  int64_t rows() const { return starts().back(); }
  int32_t pages_of(const Length& l) const { return (l.kv + page_size - 1) / page_size; }
  int64_t page_count() const {
    int64_t n = 0;
    for (const Length& l : lengths) n += pages_of(l);
    return n;
  }
  std::vector<int32_t> starts() const {
    std::vector<int32_t> s{0};
    for (const Length& l : lengths) s.push_back(s.back() + l.q);
    return s;
  }
  std::vector<int32_t> lasts() const {
    std::vector<int32_t> s;
    for (const Length& l : lengths) s.push_back(l.kv);
    return s;
  }
  std::vector<int32_t> table(Random& random) {  // pages that every query's window has passed are -1
    if (!page_size) return {0};
    for (const Length& l : lengths) max_pages = std::max(max_pages, pages_of(l));
    std::vector<int32_t> free(static_cast<size_t>(page_count())), t(lengths.size() * max_pages, -1);
    for (size_t i = 0; i < free.size(); ++i) free[i] = static_cast<int32_t>(i);
    std::shuffle(free.begin(), free.end(), random);
    for (size_t i = 0; i < lengths.size(); ++i) {
      const int32_t behind = window ? std::max(0, lengths[i].kv - lengths[i].q - window + 1) / page_size : 0;
      for (int32_t p = 0; p < pages_of(lengths[i]); ++p) {
        if (p >= behind) t[i * max_pages + p] = free.back();
        free.pop_back();
      }
    }
    return t;
  }
};

const std::vector<Shape> kShapes = {{4, 4, 16, 16}, {6, 2, 64, 64}, {4, 1, 80, 48}, {2, 1, 256, 256}, {1, 1, 3, 5}};

TEST_F(CudaAttention, ShapesWindowsPages) {
  for (const Shape shape : kShapes)
    for (const int32_t page : {0, 16})
      for (const int32_t window : {0, 1, 8, 100})
        for (const bool causal : {true, false}) {
          std::vector<Length> lengths = {{1, 1}, {5, 5}, {40, 40}, {3, 3}};
          if (page) lengths = {{1, 140}, {7, 300}, {1, 1}, {130, 131}, {2, 16}};
          const Problem p(shape, lengths, page, causal ? window : 0, DType::kF32, DType::kF32, random);
          Matrix out = p.out(DType::kF32);
          const Array<float> lse(std::vector<float>(out.rows() * shape.heads, -1.f));
          both([&](const Kernels& k, Side s, Stream& st) {
            AttentionArgs a = p.args(s, out);
            a.mask = {.causal = causal, .window = window};
            if (!causal && page && window) a.mask.window = 0;  // a page behind one query's window may be before another's
            a.lse = lse.on(s);
            k.attention(a, st);
          });
          expect_close(out, 1e-5, 1.0);
          const std::vector<float> got = lse.from(Side::kDevice), want = lse.from(Side::kHost);
          for (size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], 1e-5 * std::max(1.f, std::abs(want[i])));
          if (HasFatalFailure()) return;
        }
}

TEST_F(CudaAttention, SoftcapSinksAlibi) {
  for (const Shape shape : kShapes)
    for (const int mode : {1, 2, 4, 7})
      for (const int32_t page : {0, 32}) {
        std::vector<Length> lengths = {{9, 9}, {150, 150}};
        if (page) lengths = {{1, 200}, {4, 33}};
        const Problem p(shape, lengths, page, 0, DType::kF32, DType::kF32, random);
        std::vector<float> per_head(shape.heads), slopes(shape.heads);
        for (float& f : per_head) f = normal(random, 3.f);
        for (float& f : slopes) f = std::abs(normal(random, 0.3f));
        const Array<float> sinks(per_head), alibi(slopes);
        Matrix out = p.out(DType::kF32);
        both([&](const Kernels& k, Side s, Stream& st) {
          AttentionArgs a = p.args(s, out);
          if (mode & 1) a.mod.softcap = 1.5f;
          if (mode & 2) a.mod.sinks = sinks.on(s);
          if (mode & 4) a.mod.alibi = alibi.on(s);
          k.attention(a, st);
        });
        expect_close(out, 1e-5, 1.0);
        if (HasFatalFailure()) return;
      }
}

TEST_F(CudaAttention, ActivationAndCacheTypes) {
  for (const DType type : kActivations)
    for (const DType cache : kActivations) {
      const Problem p({6, 2, 64, 64}, {{1, 77}, {20, 150}}, 16, 0, type, cache, random);
      Matrix out = p.out(type);
      both([&](const Kernels& k, Side s, Stream& st) { k.attention(p.args(s, out), st); });
      expect_close(out, 1e-5, 1.0);
    }
}

TEST_F(CudaAttention, LargeScoresDoNotOverflow) {
  Problem p({2, 1, 64, 64}, {{1, 500}}, 16, 0, DType::kF32, DType::kF32, random);
  p.q.fill(random, 300.f);
  Matrix out = p.out(DType::kF32);
  both([&](const Kernels& k, Side s, Stream& st) { k.attention(p.args(s, out), st); });
  expect_close(out, 1e-2, 1.0);  // one key decides; scores of 1e3 are known to 1e3 * 2^-24 each
}

TEST_F(CudaAttention, PagedEqualsPackedAndAloneEqualsTogether) {
  const Shape shape{6, 2, 64, 64};
  const Problem p(shape, {{150, 150}, {33, 33}}, 0, 20, DType::kF32, DType::kF32, random);
  const Kernels& k = cuda_kernels();
  Stream& st = device_stream();
  const Matrix packed = p.out(DType::kF32), single = p.out(DType::kF32);
  k.attention(p.args(Side::kDevice, packed), st);
  // Each query row on its own, over keys that were copied into pages of 16.
  Matrix k_cache(DType::kF32, 160, shape.kv_heads * shape.head_dim), v_cache(DType::kF32, 160, shape.kv_heads * shape.v_dim);
  std::vector<int32_t> page_ids(10), slots(150);
  for (int32_t i = 0; i < 10; ++i) page_ids[i] = (i * 7 + 3) % 10;
  for (int32_t i = 0; i < 150; ++i) slots[i] = page_ids[i / 16] * 16 + i % 16;
  const Array<int32_t> pages(page_ids), slot(slots);
  const auto first = [](View v, int64_t rows) {
    v.rows = rows;
    return v;
  };
  k.kv_write({.k = first(p.k.on(Side::kDevice), 150), .v = first(p.v.on(Side::kDevice), 150), .slots = slot.on(Side::kDevice),
              .k_cache = k_cache.on(Side::kDevice), .v_cache = v_cache.on(Side::kDevice)}, st);
  for (int32_t t = 0; t < 150; ++t) {
    const Array<int32_t> start({0, 1}), length(std::vector<int32_t>{t + 1});
    AttentionArgs a = p.args(Side::kDevice, single);
    const auto row = [&](View v) {
      v.data = static_cast<float*>(v.data) + t * v.stride;
      v.rows = 1;
      return v;
    };
    a.q = row(p.q.on(Side::kDevice)), a.out = row(single.on(Side::kDevice));
    a.k = k_cache.on(Side::kDevice), a.v = v_cache.on(Side::kDevice);
    a.seqs = {.count = 1, .q_start = start.on(Side::kDevice), .kv_len = length.on(Side::kDevice), .pages = pages.on(Side::kDevice),
              .max_pages = 10, .page_size = 16, .max_q_len = 1, .max_kv_len = t + 1};
    k.attention(a, st);
  }
  std::vector<float> got = single.values(Side::kDevice), want = packed.values(Side::kDevice);
  got.resize(150 * single.cols()), want.resize(got.size());
  EXPECT_EQ(got, want);
}

TEST_F(CudaAttention, RowsOfNoSequenceAreZero) {  // what pads a captured step
  Problem p({2, 1, 16, 16}, {{2, 2}, {3, 3}}, 0, 0, DType::kF32, DType::kF32, random);
  const Matrix out = p.out(DType::kF32);
  AttentionArgs a = p.args(Side::kDevice, out);
  a.seqs.count = 1;
  cuda_kernels().attention(a, device_stream());
  const std::vector<float> v = out.values(Side::kDevice);
  for (size_t i = 0; i < v.size(); ++i) {
    ASSERT_TRUE(std::isfinite(v[i]));
    if (static_cast<int64_t>(i) >= 2 * out.cols()) ASSERT_EQ(v[i], 0.f);
    else ASSERT_NE(v[i], 0.f);
  }
}

}  // namespace
}  // namespace transom::test
