// Attention in one pass over the keys (online softmax: Milakov & Gimelshein 2018; tiling: Dao et al. 2022). A tile is up
// to kAttentionRows (position, head) pairs of one key-value head; keys come in blocks of kKeys, at multiples of kKeys of the
// sequence whatever the tile, and every kAttentionSegment keys the running sums are closed and merged in order. So a
// row's result depends on neither the rows beside it nor on how segments are shared among threads; only a sequence that has few rows
// in all may take its scores by another order of summation (Tile::few).
#include "kernels/cpu/isa.h"
#include "kernels/cpu/math.h"
#include "kernels/cpu/panel.h"

namespace transom::cpu::TRANSOM_ISA {
namespace {

constexpr int64_t kKeys = 64, kAtOnce = 4;  // kAtOnce rows x 4 vectors of sums stay in registers
constexpr float kNone = -__builtin_inff();

int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }
int64_t padded4(int64_t n) { return round_up(n, 4 * kLanes); }

// A tile's memory. Sums are out[row][v_pad] with their maximum and weight: the segment's and the whole's.
struct Tile {
  const AttentionArgs& a;
  int32_t s;
  int64_t kv, group, head_dim, v_dim, v_pad;
  int64_t r0, rows;  // rows of the sequence's (position, head in group) pairs
  bool few;          // too few to be worth transposing keys for
  float *q, *keys, *values, *p, *part, *whole, *part_max, *part_sum, *whole_max, *whole_sum;
  const void* value_row[kKeys];  // of the type that weigh_rows is told
  // Where the state has the keys of the block under way and of the next one; of that, only [ahead_begin, ahead_end) are wanted.
  int64_t rows_of[2][kKeys], *row = rows_of[0], *ahead = rows_of[1], ahead_begin = 0, ahead_end = 0;

  Tile(const AttentionArgs& args, const AttentionTile& of, std::byte* scratch)
      : a(args), s(of.s), kv(of.kv), group(args.heads / args.kv_heads), head_dim(args.q.cols / args.heads),
        v_dim(args.out.cols / args.heads), v_pad(padded4(v_dim)), r0(of.r0), rows(of.rows),
        few(of.few && head_dim % kLanes == 0) {
    float* next = reinterpret_cast<float*>(scratch);
    const auto take = [&](int64_t n) {
      float* p0 = next;
      next += round_up(n, 16);
      return p0;
    };
    q = take(kAttentionRows * head_dim);
    keys = take((head_dim + kLanes) * kKeys);
    values = take(kKeys * v_pad);
    p = take(kAttentionRows * kKeys);
    part = take(kAttentionRows * v_pad);
    whole = take(kAttentionRows * v_pad);
    part_max = take(kAttentionRows);
    part_sum = take(kAttentionRows);
    whole_max = take(kAttentionRows);
    whole_sum = take(kAttentionRows);
  }
  int64_t token(int64_t r) const { return a.seqs.q_start[s] + (r0 + r) / group; }
  int64_t head(int64_t r) const { return kv * group + (r0 + r) % group; }
  int64_t position(int64_t r) const { return a.seqs.kv_len[s] - (a.seqs.q_start[s + 1] - token(r)); }
  int64_t begin(int64_t r) const {
    const int64_t p = position(r), b = a.mask.window > 0 ? larger(0, p - a.mask.window + 1) : 0;
    return a.mask.chunk > 0 ? larger(b, p / a.mask.chunk * a.mask.chunk) : b;
  }
  int64_t end(int64_t r) const {
    const int64_t e = a.mask.causal ? position(r) + 1 : a.seqs.kv_len[s];
    return a.mask.window > 0 ? smaller(e, position(r) + a.mask.window) : e;
  }
  // Of the keys [j, j + kKeys) those that lie in [lo, hi).
  void find_rows(int64_t* rows, int64_t j, int64_t lo, int64_t hi) const {
    const SequenceTable& t = a.seqs;
    const int64_t begin = larger(j, lo), end = smaller(j + kKeys, hi);
    const int64_t size = t.pages ? t.page_size : end;  // without pages, one that holds all
    for (int64_t k = begin; k < end;) {
      const int64_t page = k / size, at = k % size, n = smaller(end - k, size - at);
      const int64_t first = t.pages ? int64_t{t.pages[int64_t{s} * t.max_pages + page]} * size + at : (t.k_start ? t.k_start : t.q_start)[s] + k;
      for (int64_t i = 0; i < n; ++i) rows[k - j + i] = first + i;
      k += n;
    }
  }
  // Makes the block from j the one under way.
  void enter(int64_t j, int64_t lo, int64_t hi, bool first) {
    if (first) find_rows(ahead, j, lo, hi);
    int64_t* const entered = ahead;
    ahead = row, row = entered;
    find_rows(ahead, j + kKeys, lo, hi);
    ahead_begin = larger(lo - j - kKeys, 0), ahead_end = smaller(hi - j - kKeys, kKeys);
  }
};

// Where the instruction set multiplies pairs of bfloat16, scores are formed of queries as bfloat16 and keys as they are, and scaled afterwards:
// q and keys then hold pairs of columns where they else hold a float.
bool in_pairs(const Tile& t) {
#if defined(__AVX512BF16__)
  return t.a.k.dtype == DType::kBF16 && t.head_dim % (2 * kLanes) == 0;
#else
  return t.rows < 0;  // never
#endif
}

#if defined(__AVX512BF16__)
// Likewise values and the weights of their sums, which are rounded to bfloat16.
bool value_pairs(const Tile& t) {
  return !t.few && t.a.v.dtype == DType::kBF16 && t.v_dim % (2 * kLanes) == 0;
}
#endif

void load_queries(Tile& t) {
  const bool pairs = in_pairs(t);
  const size_t row_bytes = static_cast<size_t>(t.head_dim) * (pairs ? 2 : 4);
  auto* q = reinterpret_cast<std::byte*>(t.q);
  memset(q + t.rows * row_bytes, 0, static_cast<size_t>(round_up(t.rows, kAtOnce) - t.rows) * row_bytes);
  for (int64_t r = 0; r < t.rows; ++r) {
    const In in = in_row(t.a.q, t.token(r));
    if (pairs) {
      for (int64_t c = 0; c < t.head_dim; c += kLanes) store({q + r * row_bytes, DType::kBF16}, c, load(in, t.head(r) * t.head_dim + c));
      continue;
    }
    for (int64_t c = 0; c < t.head_dim; c += kLanes) {
      const int64_t n = smaller(kLanes, t.head_dim - c);
      store({t.q + r * t.head_dim, DType::kF32}, c, load(in, t.head(r) * t.head_dim + c, n) * set1(t.a.scale), n);
    }
  }
}

// A head's part of a row is short, and the next row far away: the hardware does not see the stream.
TRANSOM_INLINE void prefetch_part(const ConstView& v, int64_t row, int64_t column, int64_t count) {
  const int64_t size = v.dtype == DType::kF32 ? 4 : 2;
  const auto* p = static_cast<const char*>(in_row(v, row).p) + column * size;
  for (int64_t at = 0; at < count * size; at += 64) _mm_prefetch(p + at, _MM_HINT_T0);
}
void prefetch_ahead(const Tile& t) {
  for (int64_t i = t.ahead_begin; i < t.ahead_end; ++i) {
    prefetch_part(t.a.k, t.ahead[i], t.kv * t.head_dim, t.head_dim);
    prefetch_part(t.a.v, t.ahead[i], t.kv * t.v_dim, t.v_dim);
  }
}

// The even and the odd ones of pairs of bfloat16, as floats.
TRANSOM_INLINE I even_of_pairs(I v) {
#if defined(__AVX512F__)
  return _mm512_slli_epi32(v, 16);
#else
  return _mm256_slli_epi32(v, 16);
#endif
}
TRANSOM_INLINE I odd_of_pairs(I v) {
#if defined(__AVX512F__)
  return _mm512_and_si512(v, _mm512_set1_epi32(static_cast<int>(0xffff0000u)));
#else
  return _mm256_and_si256(v, _mm256_set1_epi32(static_cast<int>(0xffff0000u)));
#endif
}

// keys[column][i .. i + kLanes) from rows of keys, null for a key that is not there: zeros.
void transpose_keys(Tile& t, const In (&row)[kLanes], int64_t i) {
  I v[kLanes];
  int64_t c = 0;
  if (t.a.k.dtype == DType::kBF16)  // a pair of columns at a time, moved as one
    for (; c + 2 * kLanes <= t.head_dim; c += 2 * kLanes) {
      for (int k = 0; k < kLanes; ++k) v[k] = row[k].p ? load_i(static_cast<const uint16_t*>(row[k].p) + t.kv * t.head_dim + c) : zero_i();
      transpose(v);
      for (int64_t k = 0; k < kLanes; ++k) {
        if (in_pairs(t)) {
          store_i(t.keys + (c / 2 + k) * kKeys + i, v[k]);
          continue;
        }
        store_i(t.keys + (c + 2 * k) * kKeys + i, even_of_pairs(v[k]));
        store_i(t.keys + (c + 2 * k + 1) * kKeys + i, odd_of_pairs(v[k]));
      }
    }
  for (; c < t.head_dim; c += kLanes) {
    const int64_t n = smaller(kLanes, t.head_dim - c);
    for (int k = 0; k < kLanes; ++k) {
      const F x = row[k].p ? load(row[k], t.kv * t.head_dim + c, n) : zero();
      memcpy(&v[k], &x, sizeof x);
    }
    transpose(v);
    for (int64_t k = 0; k < n; ++k) store_i(t.keys + (c + k) * kKeys + i, v[k]);
  }
}

// Keys [j, j + kKeys) that lie in [lo, hi), transposed to keys[column][key]; the others are zero.
void load_keys(Tile& t, int64_t j, int64_t lo, int64_t hi) {
  for (int64_t i = 0; i < kKeys; i += kLanes) {
    In row[kLanes];
    for (int64_t k = 0; k < kLanes; ++k) {
      const bool there = j + i + k >= lo && j + i + k < hi;
      row[k] = {there ? in_row(t.a.k, t.row[i + k]).p : nullptr, t.a.k.dtype};
    }
    transpose_keys(t, row, i);
  }
}

#if defined(__AVX512BF16__)
// values[pair of keys][column][2]
void interleave_values(Tile& t, int64_t j, int64_t lo, int64_t hi) {
  const I low = _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0), high = _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4);
  for (int64_t i = 0; i < kKeys; i += 2) {
    const uint16_t* row[2];
    for (int64_t k = 0; k < 2; ++k) {
      const bool there = j + i + k >= lo && j + i + k < hi;
      row[k] = there ? static_cast<const uint16_t*>(in_row(t.a.v, t.row[i + k]).p) + t.kv * t.v_dim : nullptr;
    }
    float* out = t.values + i / 2 * t.v_pad;
    for (int64_t c = 0; c < t.v_dim; c += 2 * kLanes) {
      const I a = row[0] ? load_i(row[0] + c) : zero_i(), b = row[1] ? load_i(row[1] + c) : zero_i();
      const I even = _mm512_unpacklo_epi16(a, b), odd = _mm512_unpackhi_epi16(a, b);
      store_i(out + c, _mm512_permutex2var_epi64(even, low, odd));
      store_i(out + c + kLanes, _mm512_permutex2var_epi64(even, high, odd));
    }
    for (int64_t c = t.v_dim; c < t.v_pad; c += kLanes) store_i(out + c, zero_i());
  }
}
#endif

// Values are read where they lie if they are floats, or if there are too few rows to make floats of them first.
bool reads_values(const Tile& t) { return t.v_pad == t.v_dim && (t.a.v.dtype == DType::kF32 || t.rows <= kAtOnce); }

void load_values(Tile& t, int64_t j, int64_t lo, int64_t hi) {
#if defined(__AVX512BF16__)
  if (value_pairs(t)) return interleave_values(t, j, lo, hi);
#endif
  const bool direct = reads_values(t);
  for (int64_t i = 0; i < kKeys; ++i) {
    float* row = t.values + i * t.v_pad;
    t.value_row[i] = row;
    if (j + i < lo || j + i >= hi) {
      if (!direct) memset(row, 0, static_cast<size_t>(t.v_pad) * sizeof(float));
      continue;
    }
    const In in = in_row(t.a.v, t.row[i]);
    if (direct) {
      t.value_row[i] = row_at(in.p, in.type, t.kv * t.v_dim, 1);
      continue;
    }
    for (int64_t c = 0; c < t.v_pad; c += kLanes) {
      const int64_t n = smaller(kLanes, t.v_dim - c);
      storeu(row + c, n > 0 ? load(in, t.kv * t.v_dim + c, n) : zero());
    }
  }
}

#if defined(__AVX512BF16__)
template <int M>
TRANSOM_INLINE void score_pairs(Tile& t, int64_t r) {
  const int64_t pairs = t.head_dim / 2;
  const auto* q = reinterpret_cast<const std::byte*>(t.q) + r * pairs * 4;
  for (int64_t i = 0; i < kKeys; i += 4 * kLanes) {
    F acc[M][4];
    for (auto& row : acc)
      for (F& x : row) x = zero();
    for (int64_t c = 0; c < pairs; ++c) {
      I k[4];
      for (int v = 0; v < 4; ++v) k[v] = load_i(t.keys + c * kKeys + i + v * kLanes);
      for (int m = 0; m < M; ++m) {
        int32_t pair;
        memcpy(&pair, q + (m * pairs + c) * 4, 4);
        for (int v = 0; v < 4; ++v) acc[m][v] = dot_pairs(acc[m][v], set1_i32(pair), k[v]);
      }
    }
    for (int m = 0; m < M; ++m)
      for (int v = 0; v < 4; ++v) storeu(t.p + (r + m) * kKeys + i + v * kLanes, acc[m][v] * set1(t.a.scale));
  }
}
#endif

// p[row][key] = scale * q · k for M rows.
template <int M>
TRANSOM_INLINE void score_rows(Tile& t, int64_t r) {
#if defined(__AVX512BF16__)
  if (in_pairs(t)) return score_pairs<M>(t, r);
#endif
  const float* q = t.q + r * t.head_dim;
  for (int64_t i = 0; i < kKeys; i += 4 * kLanes) {
    F acc[M][4];
    for (auto& row : acc)
      for (F& x : row) x = zero();
    for (int64_t c = 0; c < t.head_dim; ++c) {
      F k[4];
      for (int v = 0; v < 4; ++v) k[v] = loadu(t.keys + c * kKeys + i + v * kLanes);
      for (int m = 0; m < M; ++m) {
        const F x = set1(q[m * t.head_dim + c]);
        for (int v = 0; v < 4; ++v) acc[m][v] = fma(x, k[v], acc[m][v]);
      }
    }
    for (int m = 0; m < M; ++m)
      for (int v = 0; v < 4; ++v) storeu(t.p + (r + m) * kKeys + i + v * kLanes, acc[m][v]);
  }
}

// p[row][key] for all rows of a tile that has few: each product is summed across a vector, of keys as they are stored.
void score_few(Tile& t, int64_t j, int64_t lo, int64_t hi) {
  const bool pairs = in_pairs(t);
  for (int64_t i = 0; i < kKeys; i += kLanes) {
    if (j + i >= hi || j + i + kLanes <= lo) continue;  // their probability is zero, whatever p holds
    In row[kLanes];
    for (int64_t k = 0; k < kLanes; ++k) row[k] = in_row(t.a.k, t.row[smaller(larger(j + i + k, lo), hi - 1) - j]);
    for (int64_t r = 0; r < t.rows; ++r) {
      F acc[kLanes];
      for (F& x : acc) x = zero();
#if defined(__AVX512BF16__)
      if (pairs) {
        const auto* q = reinterpret_cast<const uint16_t*>(t.q) + r * t.head_dim;
        for (int64_t c = 0; c < t.head_dim; c += 2 * kLanes) {
          const I x = load_i(q + c);
          for (int k = 0; k < kLanes; ++k) acc[k] = dot_pairs(acc[k], x, load_i(static_cast<const uint16_t*>(row[k].p) + t.kv * t.head_dim + c));
        }
      } else
#endif
        for (int64_t c = 0; c < t.head_dim; c += kLanes) {
          const F x = loadu(t.q + r * t.head_dim + c);
          for (int k = 0; k < kLanes; ++k) acc[k] = fma(x, load(row[k], t.kv * t.head_dim + c), acc[k]);
        }
      storeu(t.p + r * kKeys + i, sum_each(acc) * set1(pairs ? t.a.scale : 1.f));
    }
  }
}

TRANSOM_INLINE F lane_numbers() {
  alignas(64) static constexpr float kNumbers[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  return loadu(kNumbers);
}
// x where begin <= lane < end, `other` elsewhere.
TRANSOM_INLINE F between(F x, float begin, float end, F other) {
  const F lane = lane_numbers();
  return select_negative(lane - set1(begin), other, select_negative(lane - set1(end), x, other));
}

// The relative scores of one row for the keys of the block from j; those outside [begin, end) are not read.
void relative_scores(const Tile& t, int64_t r, int64_t j, float* out) {
  const RelativeScores& rel = t.a.mod.relative;
  const int64_t h = t.head(r), p = t.position(r), first = larger(t.begin(r) - j, 0), last = smaller(t.end(r) - j, kKeys);
  const float* by_query = rel.by_query ? rel.by_query.row<float>(t.token(r)) + h * rel.buckets : nullptr;
  memset(out, 0, kKeys * sizeof(float));
  for (int64_t i = first; i < last; ++i) {
    const int64_t distance = larger(-rel.reach, smaller(rel.reach, j + i - p)), b = rel.bucket[distance + rel.reach];
    if (rel.by_head) out[i] += rel.by_head.row<float>(b)[h];
    if (by_query) out[i] += by_query[b];
    if (rel.by_key) out[i] += rel.by_key.row<float>(t.row[i])[h * rel.buckets + b];
  }
}

// Scores of one row to probabilities relative to the running maximum, which is raised first; the sums shrink with it.
void soften_row(Tile& t, int64_t r, int64_t j) {
  const AttentionArgs& a = t.a;
  float* p = t.p + r * kKeys;
  const float b = static_cast<float>(t.begin(r) - j), e = static_cast<float>(t.end(r) - j);
  float relative[kKeys];
  if (a.mod.relative.bucket) relative_scores(t, r, j, relative);
  F top = set1(kNone);
  for (int64_t i = 0; i < kKeys; i += kLanes) {
    F x = loadu(p + i);
    const float at = static_cast<float>(i);
    if (a.mod.softcap > 0) x = set1(a.mod.softcap) * tanh(x / set1(a.mod.softcap));
    if (a.mod.alibi) {
      const F distance = lane_numbers() + set1(static_cast<float>(j + i - t.position(r)));
      x = fma(set1(a.mod.alibi[t.head(r)]), distance, x);
    }
    if (a.mod.relative.bucket) x = x + loadu(relative + i);
    if (b > 0 || e < kKeys) x = between(x, b - at, e - at, set1(kNone));
    storeu(p + i, x);
    top = max(top, x);
  }
  const float old = t.part_max[r], highest = __builtin_fmaxf(old, largest(top));
  if (highest == kNone) return memset(p, 0, kKeys * sizeof(float)), void();
  F total = zero();
  for (int64_t i = 0; i < kKeys; i += kLanes) {
    const F x = exp(loadu(p + i) - set1(highest));
    storeu(p + i, x);
    total = total + x;
  }
  if (highest != old) {
    const float shrink = old == kNone ? 0.f : __builtin_expf(old - highest);
    t.part_max[r] = highest;
    t.part_sum[r] *= shrink;
    for (int64_t c = 0; c < t.v_pad; c += kLanes)
      storeu(t.part + r * t.v_pad + c, loadu(t.part + r * t.v_pad + c) * set1(shrink));
  }
  t.part_sum[r] += sum(total);
#if defined(__AVX512BF16__)
  if (value_pairs(t))
    for (int64_t i = 0; i < kKeys; i += 2 * kLanes) {
      const __m512bh two = _mm512_cvtne2ps_pbh(loadu(p + i + kLanes), loadu(p + i));
      memcpy(p + i / 2, &two, sizeof two);
    }
#endif
}

// part[row] += p[row] · values of `type` for M rows, over the keys [first, last) of the block.
template <int M>
TRANSOM_INLINE void weigh_rows(Tile& t, int64_t r, int64_t first, int64_t last, DType type) {
  for (int64_t c = 0; c < t.v_pad; c += 4 * kLanes) {
    F acc[M][4];
    for (int m = 0; m < M; ++m)
      for (int v = 0; v < 4; ++v) acc[m][v] = loadu(t.part + (r + m) * t.v_pad + c + v * kLanes);
    for (int64_t i = first; i < last; ++i) {
      F x[4];
      for (int v = 0; v < 4; ++v) x[v] = load({t.value_row[i], type}, c + v * kLanes);
      for (int m = 0; m < M; ++m) {
        const F w = set1(t.p[(r + m) * kKeys + i]);
        for (int v = 0; v < 4; ++v) acc[m][v] = fma(w, x[v], acc[m][v]);
      }
    }
    for (int m = 0; m < M; ++m)
      for (int v = 0; v < 4; ++v) storeu(t.part + (r + m) * t.v_pad + c + v * kLanes, acc[m][v]);
  }
}
#if defined(__AVX512BF16__)
template <int M>
TRANSOM_INLINE void weigh_pairs(Tile& t, int64_t r, int64_t first, int64_t last) {
  for (int64_t c = 0; c < t.v_pad; c += 4 * kLanes) {
    F acc[M][4];
    for (int m = 0; m < M; ++m)
      for (int v = 0; v < 4; ++v) acc[m][v] = loadu(t.part + (r + m) * t.v_pad + c + v * kLanes);
    for (int64_t i = first / 2; 2 * i < last; ++i) {
      I x[4];
      for (int v = 0; v < 4; ++v) x[v] = load_i(t.values + i * t.v_pad + c + v * kLanes);
      for (int m = 0; m < M; ++m) {
        int32_t pair;
        memcpy(&pair, t.p + (r + m) * kKeys + i, 4);
        for (int v = 0; v < 4; ++v) acc[m][v] = dot_pairs(acc[m][v], set1_i32(pair), x[v]);
      }
    }
    for (int m = 0; m < M; ++m)
      for (int v = 0; v < 4; ++v) storeu(t.part + (r + m) * t.v_pad + c + v * kLanes, acc[m][v]);
  }
}
#endif
// `type` is a constant in each call, so that the loads in the loop have no branch.
template <int M>
void weigh_values(Tile& t, int64_t r, int64_t first, int64_t last) {
#if defined(__AVX512BF16__)
  if (value_pairs(t)) return weigh_pairs<M>(t, r, first, last);
#endif
  const DType type = reads_values(t) ? t.a.v.dtype : DType::kF32;
  if (type == DType::kBF16) return weigh_rows<M>(t, r, first, last, DType::kBF16);
  if (type == DType::kF16) return weigh_rows<M>(t, r, first, last, DType::kF16);
  weigh_rows<M>(t, r, first, last, DType::kF32);
}

void clear(Tile& t, float* out, float* top, float* total) {
  const int64_t rows = round_up(t.rows, kAtOnce);
  for (int64_t r = 0; r < rows; ++r) top[r] = kNone, total[r] = 0;
  memset(out, 0, static_cast<size_t>(rows * t.v_pad) * sizeof(float));
}

// Adds a segment's sums to the whole's: both are brought to the larger maximum.
void merge_row(float* whole, float& top, float& total, const float* part, float part_max, float part_sum, int64_t n) {
  if (part_max == kNone) return;
  const float highest = __builtin_fmaxf(top, part_max);
  const float f = top == kNone ? 0.f : __builtin_expf(top - highest), g = __builtin_expf(part_max - highest);
  total = total * f + part_sum * g;
  top = highest;
  for (int64_t c = 0; c < n; c += kLanes) storeu(whole + c, fma(loadu(part + c), set1(g), loadu(whole + c) * set1(f)));
}

// One segment's keys [j0, j1) into t.part.
void attend(Tile& t, int64_t j0, int64_t j1) {
  clear(t, t.part, t.part_max, t.part_sum);
  int64_t lo = j1, hi = j0;
  for (int64_t r = 0; r < t.rows; ++r) lo = smaller(lo, t.begin(r)), hi = larger(hi, t.end(r));
  lo = larger(lo, j0), hi = smaller(hi, j1);
  const int64_t start = lo / kKeys * kKeys;
  for (int64_t j = start; j < hi; j += kKeys) {
    t.enter(j, lo, hi, j == start);
    if (t.rows <= kAtOnce) prefetch_ahead(t);
    t.few ? score_few(t, j, lo, hi) : load_keys(t, j, lo, hi);
    load_values(t, j, lo, hi);
    const int64_t first = larger(lo - j, 0), last = smaller(hi - j, kKeys);
    if (t.rows == 1) {
      if (!t.few) score_rows<1>(t, 0);
      soften_row(t, 0, j);
      weigh_values<1>(t, 0, first, last);
      continue;
    }
    for (int64_t r = 0; r < t.rows && !t.few; r += kAtOnce) score_rows<kAtOnce>(t, r);
    for (int64_t r = 0; r < t.rows; ++r) soften_row(t, r, j);
    for (int64_t r = t.rows; r < round_up(t.rows, kAtOnce); ++r)
      memset(t.p + r * kKeys, 0, kKeys * sizeof(float));
    for (int64_t r = 0; r < t.rows; r += kAtOnce) weigh_values<kAtOnce>(t, r, first, last);
  }
}

void write_rows(Tile& t) {
  const AttentionArgs& a = t.a;
  for (int64_t r = 0; r < t.rows; ++r) {
    float top = t.whole_max[r], total = t.whole_sum[r];
    float scale = 1;
    if (a.mod.sinks) {
      const float sink = a.mod.sinks[t.head(r)], highest = __builtin_fmaxf(top, sink);
      scale = __builtin_expf(top - highest);
      total = total * scale + __builtin_expf(sink - highest);
      top = highest;
    }
    const Out out = out_row(a.out, t.token(r));
    const F factor = set1(scale / total);
    for (int64_t c = 0; c < t.v_dim; c += kLanes)
      store(out, t.head(r) * t.v_dim + c, loadu(t.whole + r * t.v_pad + c) * factor, smaller(kLanes, t.v_dim - c));
    if (a.lse) a.lse[t.token(r) * a.heads + t.head(r)] = top + __builtin_logf(total);
  }
}

}  // namespace

size_t attention_scratch(const AttentionArgs& a) {
  const int64_t hd = a.q.cols / a.heads, v = padded4(a.out.cols / a.heads);
  const int64_t n = kAttentionRows * (hd + kKeys + 2 * v + 4) + (hd + kLanes) * kKeys + kKeys * v + 16 * 10;
  return static_cast<size_t>(n) * sizeof(float);
}
int64_t attention_part_floats(const AttentionArgs& a) { return kAttentionRows * (padded4(a.out.cols / a.heads) + 2); }

void attention(const AttentionArgs& a, const AttentionTile& of, std::byte* scratch) {
  Tile t(a, of, scratch);
  load_queries(t);
  clear(t, t.whole, t.whole_max, t.whole_sum);
  const int64_t rows = of.rows, lo = t.begin(0), hi = t.end(rows - 1);  // rows are in order of position
  for (int64_t j = lo / kAttentionSegment * kAttentionSegment; j < hi; j += kAttentionSegment) {
    attend(t, j, j + kAttentionSegment);
    for (int64_t r = 0; r < rows; ++r)
      merge_row(t.whole + r * t.v_pad, t.whole_max[r], t.whole_sum[r], t.part + r * t.v_pad, t.part_max[r], t.part_sum[r], t.v_pad);
  }
  write_rows(t);
}

void attention_part(const AttentionArgs& a, const AttentionTile& of, int64_t segment, float* out, std::byte* scratch) {
  const int64_t rows = of.rows;
  Tile t(a, of, scratch);
  load_queries(t);
  attend(t, segment * kAttentionSegment, (segment + 1) * kAttentionSegment);
  memcpy(out, t.part_max, static_cast<size_t>(rows) * sizeof(float));
  memcpy(out + kAttentionRows, t.part_sum, static_cast<size_t>(rows) * sizeof(float));
  memcpy(out + 2 * kAttentionRows, t.part, static_cast<size_t>(rows * t.v_pad) * sizeof(float));
}

void attention_merge(const AttentionArgs& a, const AttentionTile& of, int64_t segments, const float* parts, std::byte* scratch) {
  const int64_t rows = of.rows;
  Tile t(a, of, scratch);
  clear(t, t.whole, t.whole_max, t.whole_sum);
  for (int64_t i = 0; i < segments; ++i) {
    const float* part = parts + i * attention_part_floats(a);
    for (int64_t r = 0; r < rows; ++r)
      merge_row(t.whole + r * t.v_pad, t.whole_max[r], t.whole_sum[r], part + 2 * kAttentionRows + r * t.v_pad, part[r],
                part[kAttentionRows + r], t.v_pad);
  }
  write_rows(t);
}

}  // namespace transom::cpu::TRANSOM_ISA
