// attention of every table against the reference: masks, windows, score modifications, grouped heads, cache types, pages,
// several sequences in one call; and independence of a row's result from its neighbours.
#include "kernels/data.h"

namespace transom::test {
namespace {

using Attention = TableTest;
INSTANTIATE_TEST_SUITE_P(Tables, Attention, testing::ValuesIn(fast_tables()), table_name);
using AttentionInvariance = TableTest;
INSTANTIATE_TEST_SUITE_P(Tables, AttentionInvariance, testing::ValuesIn(available_kernels()), table_name);

struct Shape {
  int64_t heads, kv_heads, head_dim, v_dim;
};

// Sequences whose last q_len tokens are this step's, over paged caches (page_size > 0) or packed rows.
struct Problem {
  std::vector<int32_t> q_start{0}, kv_len, pages;
  Matrix q, k, v;
  AttentionArgs args;

  Problem(Shape s, std::vector<std::pair<int, int>> lengths, int page_size, int window, DType type, DType cache, Random& random)
      : q(type, total(lengths), s.heads * s.head_dim),
        k(cache, page_size ? page_size * page_count(lengths, page_size) : total(lengths), s.kv_heads * s.head_dim),
        v(cache, k.view().rows, s.kv_heads * s.v_dim) {
    q.fill(random);
    k.fill(random);
    v.fill(random);
    int32_t max_pages = 0;
    for (const auto& [q_len, kv] : lengths) {
      q_start.push_back(q_start.back() + q_len);
      kv_len.push_back(kv);
      if (page_size) max_pages = std::max(max_pages, (kv + page_size - 1) / page_size);
      args.seqs.max_q_len = std::max(args.seqs.max_q_len, q_len);
      args.seqs.max_kv_len = std::max(args.seqs.max_kv_len, kv);
    }
    if (page_size) {
      std::vector<int32_t> free(static_cast<size_t>(page_count(lengths, page_size)));
      for (size_t i = 0; i < free.size(); ++i) free[i] = static_cast<int32_t>(i);
      std::shuffle(free.begin(), free.end(), random);
      pages.assign(lengths.size() * max_pages, -1);
      for (size_t i = 0; i < lengths.size(); ++i) {
        const int behind = window ? std::max(0, lengths[i].second - lengths[i].first - window + 1) / page_size : 0;
        for (int p = 0; p < (lengths[i].second + page_size - 1) / page_size; ++p) {
          if (p >= behind) pages[i * max_pages + p] = free.back();
          free.pop_back();
        }
      }
      args.seqs.pages = pages.data();
      args.seqs.max_pages = max_pages;
      args.seqs.page_size = page_size;
    }
    args.q = q, args.k = k, args.v = v;
    args.seqs.count = static_cast<int32_t>(lengths.size());
    args.seqs.q_start = q_start.data();
    args.seqs.kv_len = kv_len.data();
    args.heads = s.heads, args.kv_heads = s.kv_heads;
    args.scale = 1.5f / std::sqrt(static_cast<float>(s.head_dim));
    args.mask.window = window;
  }
  Problem(const Problem&) = delete;
  int64_t out_cols() const { return args.heads * (v.view().cols / args.kv_heads); }

  static int64_t total(const std::vector<std::pair<int, int>>& lengths) {
    int64_t n = 0;
    for (const auto& l : lengths) n += l.first;
    return n;
  }
  static int64_t page_count(const std::vector<std::pair<int, int>>& lengths, int page_size) {
    int64_t n = 0;
    for (const auto& l : lengths) n += (l.second + page_size - 1) / page_size;
    return n;
  }
};

// Tables with products of bfloat16 round the softmax's weights p of such values to it: what an output Σ p v may be off by is Σ p |v| 2^-8,
// which the reference computes. Queries of such keys are rounded too, which the reference is given.
bool pairs_of(const Kernels& table) {
  const std::string_view name = table.name;
  return name.starts_with("avx512bf16") || name.starts_with("amx");
}
bool pairs_of(const Kernels& table, const Problem& p, const Matrix& m) {
  return pairs_of(table) && m.view().dtype == DType::kBF16 && m.view().cols / p.args.kv_heads % 32 == 0;
}
void expect_near_sums(Bench& bench, const Problem& p, const Matrix& got, const Matrix& want, double error) {
  const View& v = p.v.view();
  Matrix sizes(v.dtype, v.rows, v.cols), sums(DType::kF32, want.view().rows, want.view().cols);
  for (int64_t r = 0; r < v.rows; ++r)
    for (int64_t c = 0; c < v.cols; ++c) sizes.set(r, c, std::abs(p.v.get(r, c)));
  AttentionArgs a = p.args;
  a.v = sizes, a.out = sums, a.lse = nullptr;
  bench.ref.attention(a, bench.stream);
  for (int64_t r = 0; r < want.view().rows; ++r)
    for (int64_t c = 0; c < want.view().cols; ++c) {
      const double x = got.get(r, c), y = want.get(r, c), step = 2.1 * rounding(want.view().dtype) * std::abs(y);
      ASSERT_LE(std::abs(x - y), error * std::max(1.0, std::abs(y)) + step + rounding(DType::kBF16) * sums.get(r, c)) << "row " << r << " column " << c;
    }
  got.expect_surroundings_untouched();
}

void compare(const Kernels& table, Bench& bench, Problem& p, DType out_type) {
  const int64_t rows = p.q.view().rows;
  Matrix out(out_type, rows, p.out_cols()), want(out_type, rows, p.out_cols());
  std::vector<float> lse(rows * p.args.heads), want_lse(lse);
  Matrix rounded(DType::kBF16, rows, p.q.view().cols);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < p.q.view().cols; ++c) rounded.set(r, c, p.q.get(r, c));
  if (pairs_of(table, p, p.k)) p.args.q = rounded;
  p.args.out = want, p.args.lse = want_lse.data();
  bench.ref.attention(p.args, bench.stream);
  p.args.q = p.q, p.args.out = out, p.args.lse = lse.data();
  table.attention(p.args, bench.stream);
  // A score is a float sum of head_dim products, Σ|q k| ~ 0.64 head_dim: its error is the probability's relative one.
  const double head_dim = static_cast<double>(p.q.view().cols / p.args.heads);
  const double error = 1e-6 + 8 * 0x1p-24 * 0.64 * head_dim * p.args.scale;
  if (pairs_of(table, p, p.v)) expect_near_sums(bench, p, out, want, error);
  else expect_close(out, want, error, 1.0);
  for (size_t i = 0; i < lse.size(); ++i) ASSERT_NEAR(lse[i], want_lse[i], 1e-5 + 3e-7 * std::abs(want_lse[i])) << i;
}

const Shape kShapes[] = {{3, 3, 16, 16}, {9, 3, 64, 64}, {4, 1, 256, 256}, {4, 2, 72, 40}, {40, 1, 8, 8}, {2, 2, 128, 128}};

TEST_P(Attention, PackedSequences) {
  for (const Shape& s : kShapes)
    for (const DType type : activations)
      for (const bool causal : {true, false})
        for (const int window : {0, 5, 33}) {
          Problem p(s, {{1, 1}, {13, 13}, {70, 70}}, 0, window, type, type, random);
          p.args.mask.causal = causal;
          SCOPED_TRACE(testing::Message() << "head size " << s.head_dim << " window " << window << " causal " << causal);
          compare(table(), bench, p, type);
          if (HasFatalFailure()) return;
        }
}

TEST_P(Attention, PagedStates) {
  for (const Shape& s : kShapes)
    for (const DType cache : activations)
      for (const int page_size : {16, 48})
        for (const int window : {0, 20, 100}) {
          Problem p(s, {{1, 150}, {1, 1}, {5, 5}, {19, 133}, {1, 64}}, page_size, window, DType::kF32, cache, random);
          SCOPED_TRACE(testing::Message() << "head size " << s.head_dim << " page " << page_size << " window " << window);
          compare(table(), bench, p, DType::kF32);
          if (HasFatalFailure()) return;
        }
}

TEST_P(Attention, Chunks) {
  for (const Shape& s : kShapes)
    for (const int page_size : {0, 16})
      for (const int chunk : {7, 32, 64, 1000}) {
        Problem p(s, {{70, 70}, {1, 1}, {19, page_size ? 133 : 19}}, page_size, 0, DType::kF32, DType::kF32, random);
        p.args.mask.chunk = chunk;
        SCOPED_TRACE(testing::Message() << "head size " << s.head_dim << " page " << page_size << " chunk " << chunk);
        compare(table(), bench, p, DType::kF32);
        if (HasFatalFailure()) return;
      }
}

// Cross-attention: keys of other rows than the queries', more or fewer than they, packed and paged.
TEST_P(Attention, KeysOfASource) {
  for (const Shape& s : kShapes)
    for (const bool paged : {false, true}) {
      Problem p(s, {{5, 70}, {1, 3}, {90, 9}}, paged ? 16 : 0, 0, DType::kF32, DType::kF32, random);
      p.args.mask.causal = false;
      const int32_t starts[] = {0, 70, 73, 82};
      Matrix k(DType::kF32, 82, s.kv_heads * s.head_dim), v(DType::kF32, 82, s.kv_heads * s.v_dim);
      k.fill(random), v.fill(random);
      if (!paged) p.args.k = k, p.args.v = v, p.args.seqs.k_start = starts;
      SCOPED_TRACE(testing::Message() << "head size " << s.head_dim << " paged " << paged);
      compare(table(), bench, p, DType::kF32);
    }
}

TEST_P(Attention, ScoreModifications) {
  std::vector<float> sinks, alibi;
  for (int i = 0; i < 9; ++i) sinks.push_back(normal(random)), alibi.push_back(0.1f * static_cast<float>(i));
  for (const int mode : {1, 2, 4, 7}) {
    Problem p({9, 3, 64, 64}, {{1, 90}, {40, 70}}, 16, 0, DType::kF32, DType::kF32, random);
    if (mode & 1) p.args.mod.softcap = 2.f;
    if (mode & 2) p.args.mod.sinks = sinks.data();
    if (mode & 4) p.args.mod.alibi = alibi.data();
    compare(table(), bench, p, DType::kF32);
  }
}

// By head, and by query and key, over paged and packed rows, for distances within reach and past it.
// R26: a sink takes its share of the sum and adds no value; one of minus infinity is none.
TEST_P(AttentionInvariance, SinksShareInTheSum) {
  const int64_t heads = 3, size = 16;
  for (const DType type : activations) {
    Problem p({3, 3, 16, 16}, {{9, 9}}, 0, 5, type, type, random);
    Matrix plain(DType::kF32, 9, heads * size), with(DType::kF32, 9, heads * size);
    p.args.out = plain;
    std::vector<float> lse(9 * heads), sinks(heads, -INFINITY);
    p.args.lse = lse.data();
    table().attention(p.args, bench.stream);
    const std::vector<float> unshared = lse;
    p.args.out = with;
    p.args.mod.sinks = sinks.data();
    table().attention(p.args, bench.stream);
    expect_close(with, plain, 1e-6, 1.0);
    sinks = {-1.5f, 0.25f, 3.f};
    table().attention(p.args, bench.stream);
    for (int64_t r = 0; r < 9; ++r)
      for (int64_t h = 0; h < heads; ++h) {
        // exp(x) / (sum + exp(s)) = softmax(x) · sum / (sum + exp(s))
        const double share = 1 / (1 + std::exp(double{sinks[h]} - unshared[r * heads + h]));
        for (int64_t c = h * size; c < (h + 1) * size; ++c) EXPECT_NEAR(with.get(r, c), plain.get(r, c) * share, 2e-5);
      }
  }
}

TEST_P(Attention, RelativeScores) {
  const int reach = 20, buckets = 7;
  std::vector<int32_t> bucket;
  for (int d = -reach; d <= reach; ++d) bucket.push_back((d + reach) % buckets);
  for (const Shape& s : kShapes)
    for (const bool rows : {false, true}) {
      Problem p(s, {{70, 70}, {3, 3}, {40, 40}}, rows ? 0 : 16, rows ? 0 : 33, DType::kF32, DType::kF32, random);
      Matrix by_head(DType::kF32, buckets, s.heads), by_query(DType::kF32, 113, s.heads * buckets), by_key(DType::kF32, 113, s.heads * buckets);
      by_head.fill(random), by_query.fill(random), by_key.fill(random);
      p.args.mask.causal = !rows;
      p.args.mod.relative = {.bucket = bucket.data(), .reach = reach, .buckets = buckets, .by_head = by_head};
      if (rows) p.args.mod.relative.by_query = by_query, p.args.mod.relative.by_key = by_key;
      SCOPED_TRACE(testing::Message() << "head size " << s.head_dim << " rows " << rows);
      compare(table(), bench, p, DType::kF32);
    }
}

TEST_P(Attention, KeysAndValuesInBlocks) {
  for (const Shape& s : {Shape{4, 2, 64, 64}, Shape{12, 3, 96, 32}, Shape{5, 5, 32, 128}})
    for (const DType kept : {DType::kQ8_0, DType::kQ5_1, DType::kQ5_0, DType::kQ4_1, DType::kQ4_0})
      for (const int q_len : {1, 40}) {
        Problem from(s, {{q_len, 700}, {q_len, 90}}, 16, 0, DType::kF32, DType::kF32, random);
        SCOPED_TRACE(testing::Message() << "head size " << s.head_dim << " kept in " << info(kept).name << " rows " << q_len);
        const View k = from.k, v = from.v;
        std::vector<std::byte> blocks[2];
        std::vector<int32_t> slots(k.rows);
        std::iota(slots.begin(), slots.end(), 0);
        const auto make = [&](std::vector<std::byte>& to, const View& like) {
          to.resize(row_bytes(kept, like.rows * like.cols));
          return View{to.data(), kept, like.rows, like.cols, like.cols};
        };
        const View k_cache = make(blocks[0], k), v_cache = make(blocks[1], v);
        table().kv_write({.k = from.k, .v = from.v, .slots = slots.data(), .k_cache = k_cache, .v_cache = v_cache}, bench.stream);
        // The same as of their values, as the table's arithmetic takes them.
        const DType seen = pairs_of(table()) ? DType::kBF16 : DType::kF32;
        Matrix seen_k(seen, k.rows, k.cols), seen_v(seen, v.rows, v.cols);
        std::vector<float> row(std::max(k.cols, v.cols));
        for (const auto& [matrix, cache] : {std::pair{&seen_k, k_cache}, {&seen_v, v_cache}})
          for (int64_t r = 0; r < cache.rows; ++r) {
            dequantize_row(kept, static_cast<std::byte*>(cache.data) + row_bytes(kept, r * cache.cols), row.data(), cache.cols);
            for (int64_t c = 0; c < cache.cols; ++c) matrix->set(r, c, row[c]);
          }
        Matrix got(DType::kF32, from.q.view().rows, from.out_cols()), want(DType::kF32, from.q.view().rows, from.out_cols());
        from.args.k = k_cache, from.args.v = v_cache, from.args.out = got;
        table().attention(from.args, bench.stream);
        from.args.k = seen_k, from.args.v = seen_v, from.args.out = want;
        table().attention(from.args, bench.stream);
        for (int64_t r = 0; r < got.view().rows; ++r)
          for (int64_t c = 0; c < from.out_cols(); ++c) ASSERT_EQ(got.get(r, c), want.get(r, c)) << "row " << r << " column " << c;
      }
}

TEST_P(Attention, LongContextsAreSharedAmongThreads) {
  for (const Shape& s : {Shape{4, 1, 32, 32}, Shape{12, 3, 64, 96}, Shape{21, 7, 96, 80}, Shape{8, 8, 40, 40}})
    for (const int window : {0, 700})
      for (const DType kept : {DType::kBF16, DType::kF16, DType::kF32}) {
        Problem p(s, {{1, 1500}, {2, 600}}, 16, window, DType::kF32, kept, random);
        SCOPED_TRACE(testing::Message() << "head size " << s.head_dim << " kept in " << info(kept).name);
        compare(table(), bench, p, DType::kF32);
      }
}

TEST_P(Attention, LargeScoresStayFinite) {
  Problem p({2, 1, 64, 64}, {{3, 200}}, 16, 0, DType::kF32, DType::kF32, random);
  p.args.scale = 40.f;
  compare(table(), bench, p, DType::kF32);
}

// Row t of the first sequence alone, which then has `kv_len` keys, has the bits of row t of `all`, on one thread and on several.
void expect_alone(const Kernels& k, Bench& bench, const Problem& p, const Matrix& all, int t, int32_t kv_len) {
  ThreadTeam one(1);
  Stream alone = stream_of(one);
  AttentionArgs a = p.args;
  const int32_t start[] = {0, 1};
  a.seqs.count = 1, a.seqs.q_start = start, a.seqs.kv_len = &kv_len, a.seqs.max_q_len = 1, a.seqs.max_kv_len = kv_len;
  a.q.data = p.q.view().row<float>(t);
  a.q.rows = 1;
  for (Stream* s : {&bench.stream, &alone}) {
    Matrix row(DType::kF32, 1, all.view().cols);
    a.out = row;
    k.attention(a, *s);
    for (int64_t c = 0; c < all.view().cols; ++c) ASSERT_EQ(row.get(0, c), all.get(t, c)) << "token " << t << " column " << c;
  }
}

// A token gets the same bits alone, with its whole prompt, beside other sequences, and with other numbers of threads; on tables that are
// not deterministic, where its sequence has more than the few rows that take another order of summation.
TEST_P(AttentionInvariance, RowsDoNotDependOnTheirNeighbours) {
  const std::string_view name = table().name;
  const bool deterministic = name == "ref" || name.ends_with("deterministic");
  for (const int window : {0, 90}) {
    Problem p({deterministic ? 6 : 18, 2, 64, 64}, {{40, 1100}, {7, 30}, {1, 513}}, 16, 0, DType::kF32, DType::kF32, random);
    p.args.mask.window = window;
    Matrix all(DType::kF32, 48, p.out_cols());
    p.args.out = all;
    table().attention(p.args, bench.stream);
    for (const int t : {0, 1, 17, 39}) expect_alone(table(), bench, p, all, t, 1100 - 39 + t);
  }
}

// Few rows, which meet keys as they lie: two tokens together have the bits of each alone, whatever the number of threads and so of
// heads that a thread takes at once.
TEST_P(AttentionInvariance, FewRowsDoNotDependOnTheirNumber) {
  for (const DType kept : {DType::kBF16, DType::kF16, DType::kF32})
    for (const int64_t size : {64, 80}) {
      Problem p({20, 5, size, size}, {{2, 1400}, {1, 70}}, 16, 0, DType::kF32, kept, random);
      Matrix all(DType::kF32, 3, p.out_cols());
      p.args.out = all;
      table().attention(p.args, bench.stream);
      for (const int t : {0, 1}) expect_alone(table(), bench, p, all, t, 1399 + t);
    }
}

}  // namespace
}  // namespace transom::test
