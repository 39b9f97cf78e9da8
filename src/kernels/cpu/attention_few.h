// Attention of few rows, as in decoding: keys and values are multiplied as they lie in the state, kRun of them for several kv heads in
// turn, so that memory is read nearly in the order it has. Each score is summed across a vector.
#pragma once

#include "kernels/cpu/attention_tile.h"

namespace transom::cpu::TRANSOM_ISA {
namespace {

constexpr int64_t kRun = kDecodedRows, kAhead = 32;  // keys; from the prefetch of a row to its use

// Which keys of the block under way are seen, and where the state has them; those that no row sees repeat the nearest that one
// sees: their probability is zero.
struct Block {
  int64_t j, first, last;  // keys [first, last) are seen
  int64_t row[kKeys];

  Block(const Tile& t, int64_t from, int64_t lo, int64_t hi) : j(from), first(larger(lo - from, 0)), last(smaller(hi - from, kKeys)) {
    for (int64_t i = 0; i < kKeys; ++i) row[i] = t.row[smaller(larger(i, first), last - 1)];
  }
};

// Fetches the rows that come kAhead keys later, a little at each step of the arithmetic: a core has room for some twenty lines under way, and
// a burst of prefetches would keep what is needed now waiting.
class Fetch {
 public:
  Fetch(const Tile& t, const Block& b, const KeptRows& of, int64_t i) : t_(t), b_(b), of_(of), bytes_(of.bytes()), key_(i + kAhead) { enter(); }
  TRANSOM_INLINE void lines(int64_t n) {
    for (; n > 0; --n, at_ += 64) {
      if (at_ >= end_) ++key_, enter();
      _mm_prefetch(at_, _MM_HINT_T1);
    }
  }

 private:
  void enter() {
    const bool here = key_ < kKeys;
    const int64_t k = here ? key_ : key_ - kKeys;
    const bool wanted = here ? k < b_.last : k >= t_.ahead_begin && k < t_.ahead_end;
    at_ = reinterpret_cast<const char*>(of_.row(here || !wanted ? b_.row[here ? k : 0] : t_.ahead[k]));
    end_ = at_ + bytes_;
  }
  const Tile& t_;
  const Block& b_;
  const KeptRows& of_;
  const int64_t bytes_;
  int64_t key_;
  const char *at_ = nullptr, *end_ = nullptr;
};

// A run's rows of keys or values from key i on, as they are read, and what fetches later ones: all at once where rows are decoded, else as the
// arithmetic goes on.
struct Run {
  const void* row[kRun];
  DType type;
  Fetch ahead, *fetch;

  Run(const Tile& t, const Block& b, const KeptRows& of, int64_t i) : type(of.type), ahead(t, b, of, i), fetch(of.stored == of.type ? &ahead : nullptr) {
    for (int64_t k = 0; k < kRun; ++k) {
      if (!fetch) ahead.lines((of.bytes() + 63) / 64);
      row[k] = of.read(b.row[i + k], k).p;
    }
  }
  // n elements are about to be used, by the first of the rows that use them.
  TRANSOM_INLINE void use(int64_t n) {
    if (fetch) fetch->lines(n * (type == DType::kF32 ? 4 : 2) / 64);
  }
  Run(const Run&) = delete;
};

#if defined(__AVX512BF16__)
// q of four rows as bfloat16, eight columns of each in turn: a vector of them meets eight columns of a key four times over.
void load_queries_by_four(Tile& t) {
  auto* q = reinterpret_cast<uint16_t*>(t.q);
  memset(q, 0, static_cast<size_t>(t.places() * t.head_dim) * sizeof *q);
  uint16_t* one = reinterpret_cast<uint16_t*>(t.p);
  for (int64_t r = 0; r < t.places(); ++r) {
    if (!t.taken(r)) continue;
    load_query_bf16(t, r, one);
    for (int64_t c = 0; c < t.head_dim; c += 8) memcpy(q + r / 4 * 4 * t.head_dim + c * 4 + r % 4 * 8, one + c, 16);
  }
}

// Quarter m of a to d holds four parts of one row's product with one key each; of the result, its product with those four keys.
TRANSOM_INLINE F sum_quarters(F a, F b, F c, F d) {
  const F ab = _mm512_shuffle_ps(a, b, 0x88) + _mm512_shuffle_ps(a, b, 0xdd), cd = _mm512_shuffle_ps(c, d, 0x88) + _mm512_shuffle_ps(c, d, 0xdd);
  return _mm512_shuffle_ps(ab, cd, 0x88) + _mm512_shuffle_ps(ab, cd, 0xdd);
}

// p[r .. r + 4)[n keys from i on] of one kv head, whose keys start at `column`.
void score_by_four(Tile& t, Run& run, int64_t r, int64_t column, int64_t i, int64_t n, bool first) {
  const auto* q = reinterpret_cast<const uint16_t*>(t.q) + r * t.head_dim;
  const F scale = set1(t.a.scale);
  for (int64_t k0 = 0; k0 < n; k0 += 8) {
    const uint16_t* key[8];
    for (int k = 0; k < 8; ++k) key[k] = static_cast<const uint16_t*>(run.row[k0 + k]) + column;
    F acc[8];
    for (F& x : acc) x = zero();
    for (int64_t c = 0; c < t.head_dim; c += 8) {
      const I x = load_i(q + c * 4);
      if (first) run.use(64);
      for (int k = 0; k < 8; ++k)
        acc[k] = dot_pairs(acc[k], x, _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(key[k] + c))));
    }
    for (int half = 0; half < 2; ++half) {
      const F s = sum_quarters(acc[4 * half], acc[4 * half + 1], acc[4 * half + 2], acc[4 * half + 3]) * scale;
      float* p = t.p + r * kKeys + i + k0 + 4 * half;
      _mm_storeu_ps(p, _mm512_castps512_ps128(s));
      _mm_storeu_ps(p + kKeys, _mm512_extractf32x4_ps(s, 1));
      _mm_storeu_ps(p + 2 * kKeys, _mm512_extractf32x4_ps(s, 2));
      _mm_storeu_ps(p + 3 * kKeys, _mm512_extractf32x4_ps(s, 3));
    }
  }
}

// The columns of part[row] from the order in which weigh_interleaved has them: of each 32, the first four of every eight come first.
TRANSOM_INLINE void restore_columns(float* part, int64_t columns) {
  const I low = _mm512_set_epi32(23, 22, 21, 20, 7, 6, 5, 4, 19, 18, 17, 16, 3, 2, 1, 0);
  const I high = _mm512_set_epi32(31, 30, 29, 28, 15, 14, 13, 12, 27, 26, 25, 24, 11, 10, 9, 8);
  for (int64_t c = 0; c < columns; c += 2 * kLanes) {
    const F a = loadu(part + c), b = loadu(part + c + kLanes);
    storeu(part + c, _mm512_permutex2var_ps(a, low, b));
    storeu(part + c + kLanes, _mm512_permutex2var_ps(a, high, b));
  }
}

// part[r .. r + M) += p · values of n keys from i on, two keys at a time, N times 32 columns from c on; p holds pairs of bfloat16.
template <int M, int N>
TRANSOM_INLINE void weigh_interleaved(Tile& t, Run& run, int64_t r, int64_t column, int64_t c, int64_t i, int64_t n, bool first) {
  F acc[M][2 * N];
  for (int m = 0; m < M; ++m)
    for (int v = 0; v < 2 * N; ++v) acc[m][v] = loadu(t.part + (r + m) * t.v_pad + c + v * kLanes);
  for (int64_t k = 0; k < n; k += 2) {
    if (first) run.use(128 * N / 2);
    I w[M];
    for (int m = 0; m < M; ++m) {
      int32_t pair;
      memcpy(&pair, t.p + (r + m) * kKeys + (i + k) / 2, 4);
      w[m] = set1_i32(pair);
    }
    const auto *even = static_cast<const uint16_t*>(run.row[k]) + column + c, *odd = static_cast<const uint16_t*>(run.row[k + 1]) + column + c;
    for (int v = 0; v < N; ++v) {
      const I x = load_i(even + v * 2 * kLanes), y = load_i(odd + v * 2 * kLanes);
      const I low = _mm512_unpacklo_epi16(x, y), high = _mm512_unpackhi_epi16(x, y);
      for (int m = 0; m < M; ++m) {
        acc[m][2 * v] = dot_pairs(acc[m][2 * v], w[m], low);
        acc[m][2 * v + 1] = dot_pairs(acc[m][2 * v + 1], w[m], high);
      }
    }
  }
  for (int m = 0; m < M; ++m)
    for (int v = 0; v < 2 * N; ++v) storeu(t.part + (r + m) * t.v_pad + c + v * kLanes, acc[m][v]);
}
template <int M>
void weigh_few_pairs(Tile& t, Run& run, int64_t r, int64_t column, int64_t i, int64_t n, bool first) {
  int64_t c = 0;
  for (; c + 4 * kLanes <= t.v_dim; c += 4 * kLanes) weigh_interleaved<M, 2>(t, run, r, column, c, i, n, first);
  if (c < t.v_dim) weigh_interleaved<M, 1>(t, run, r, column, c, i, n, first);
}
#endif

void load_queries_few(Tile& t) {
#if defined(__AVX512BF16__)
  if (in_pairs(t)) return load_queries_by_four(t);
#endif
  const int64_t stride = round_up(t.head_dim, kLanes);
  memset(t.q, 0, static_cast<size_t>(t.places() * stride) * sizeof(float));
  for (int64_t r = 0; r < t.places(); ++r)
    if (t.taken(r)) load_query(t, r, t.q + r * stride);
}

// p[r .. r + rows)[n keys from i on] of one kv head.
void score_floats(Tile& t, Run& run, int64_t r, int64_t column, int64_t i, int64_t n) {
  const int64_t stride = round_up(t.head_dim, kLanes);
  for (int64_t k0 = 0; k0 < n; k0 += kLanes)
    for (int64_t m = r; m < r + t.rows; ++m) {
      F acc[kLanes];
      for (F& x : acc) x = zero();
      for (int64_t c = 0; c < t.head_dim; c += kLanes) {
        const F x = loadu(t.q + m * stride + c);
        const int64_t columns = smaller(kLanes, t.head_dim - c);
        if (m == r) run.use(kLanes * kLanes);
        for (int k = 0; k < kLanes; ++k) acc[k] = fma(x, load({run.row[k0 + k], run.type}, column + c, columns), acc[k]);
      }
      storeu(t.p + m * kKeys + i + k0, sum_each(acc));
    }
}

// Values of n keys where weigh_rows finds them; as floats where rows have to be padded.
void place_values(Tile& t, const Run& run, int64_t column, int64_t i, int64_t n) {
  for (int64_t k = 0; k < n; ++k) {
    const In in{row_at(run.row[k], run.type, column, 1), run.type};
    t.value_row[i + k] = in.p;
    if (t.v_pad == t.v_dim) continue;
    float* row = t.values + (i + k) * t.v_pad;
    for (int64_t c = 0; c < t.v_pad; c += kLanes) storeu(row + c, c < t.v_dim ? load(in, c, smaller(kLanes, t.v_dim - c)) : zero());
    t.value_row[i + k] = row;
  }
}
// `type` is a constant in each call, so that the loads in the loop have no branch.
template <int M, class Step>
void weigh_floats(Tile& t, int64_t r, int64_t i0, int64_t i1, Step step) {
  if (t.v_pad != t.v_dim) return weigh_rows<M>(t, r, t.p + r * kKeys, i0, i1, DType::kF32, step);
  if (t.v.type == DType::kBF16) return weigh_rows<M>(t, r, t.p + r * kKeys, i0, i1, DType::kBF16, step);
  if (t.v.type == DType::kF16) return weigh_rows<M>(t, r, t.p + r * kKeys, i0, i1, DType::kF16, step);
  weigh_rows<M>(t, r, t.p + r * kKeys, i0, i1, DType::kF32, step);
}

void score_run(Tile& t, const Block& b, int64_t i) {
  const int64_t n = smaller(kRun, round_up(b.last, 8) - i);
  Run run(t, b, t.k, i);
  for (int64_t h = 0; h < t.kvs; ++h) {
    const int64_t r0 = h * t.each, column = h * t.head_dim;
#if defined(__AVX512BF16__)
    if (in_pairs(t)) {
      for (int64_t r = r0; r < r0 + t.each; r += kAtOnce) score_by_four(t, run, r, column, i, n, r == r0);
      continue;
    }
#endif
    score_floats(t, run, r0, column, i, n);
  }
}

template <int M>
void weigh_run(Tile& t, const Block& b, int64_t i) {
  const int64_t n = smaller(kRun, b.last - i);
  Run run(t, b, t.v, i);
  for (int64_t h = 0; h < t.kvs; ++h) {
    const int64_t r0 = h * t.each, r1 = M == 1 ? r0 + 1 : r0 + t.each, column = h * t.v_dim;
#if defined(__AVX512BF16__)
    if (value_pairs(t)) {
      for (int64_t r = r0; r < r1; r += M) weigh_few_pairs<M>(t, run, r, column, i, n, r == r0);
      continue;
    }
#endif
    place_values(t, run, column, i, n);
    weigh_floats<M>(t, r0, i, i + n, [&] { run.use(4 * kLanes); });
    for (int64_t r = r0 + M; r < r1; r += M) weigh_floats<M>(t, r, i, i + n, [] {});
  }
}

// The keys [lo, hi), of one segment, into t.part.
void attend_few(Tile& t, int64_t lo, int64_t hi) {
  const int64_t start = lo / kKeys * kKeys;
  for (int64_t j = start; j < hi; j += kKeys) {
    t.enter(j, lo, hi, j == start);
    const Block b(t, j, lo, hi);
    for (int64_t i = b.first / kRun * kRun; i < b.last; i += kRun) score_run(t, b, i);
    for (int64_t r = 0; r < t.places(); r += kAtOnce) soften_rows(t, r, smaller(kAtOnce, t.rows - r % t.each), j, t.p + r * kKeys);
    for (int64_t i = b.first / kRun * kRun; i < b.last; i += kRun) t.rows == 1 ? weigh_run<1>(t, b, i) : weigh_run<kAtOnce>(t, b, i);
  }
#if defined(__AVX512BF16__)
  for (int64_t r = 0; r < t.places() && value_pairs(t); ++r) restore_columns(t.part + r * t.v_pad, t.v_dim);
#endif
}

}  // namespace
}  // namespace transom::cpu::TRANSOM_ISA
