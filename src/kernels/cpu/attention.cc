// Attention in one pass over the keys (tiling: Dao et al. 2022). A tile is up to kAttentionRows (position, head) pairs of one key-value
// head, which meet keys transposed block by block; a sequence that has few rows in all takes those of several heads as a
// tile and meets keys as they lie, its scores by another order of summation (attention_few.h). A row's result depends on neither the
// rows beside it nor on how segments are shared among threads.
#include "kernels/cpu/attention_few.h"
#include "kernels/cpu/panel.h"

namespace transom::cpu::TRANSOM_ISA {
namespace {

// q and keys hold pairs of columns where they else hold a float.
void load_queries(Tile& t) {
  const bool pairs = in_pairs(t);
  const size_t row_bytes = static_cast<size_t>(t.head_dim) * (pairs ? 2 : 4);
  auto* q = reinterpret_cast<std::byte*>(t.q);
  memset(q + t.rows * row_bytes, 0, static_cast<size_t>(t.each - t.rows) * row_bytes);
  for (int64_t r = 0; r < t.rows; ++r)
    pairs ? load_query_bf16(t, r, q + r * row_bytes) : load_query(t, r, t.q + r * t.head_dim);
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

// keys[column][i .. i + kLanes) from one kv head's part of rows of keys, null for a key that is not there: zeros.
void transpose_keys(Tile& t, const In (&row)[kLanes], int64_t i) {
  I v[kLanes];
  int64_t c = 0;
  if (t.k.type == DType::kBF16)  // a pair of columns at a time, moved as one
    for (; c + 2 * kLanes <= t.head_dim; c += 2 * kLanes) {
      for (int k = 0; k < kLanes; ++k) v[k] = row[k].p ? load_i(static_cast<const uint16_t*>(row[k].p) + c) : zero_i();
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
      const F x = row[k].p ? load(row[k], c, n) : zero();
      memcpy(&v[k], &x, sizeof x);
    }
    transpose(v);
    for (int64_t k = 0; k < n; ++k) store_i(t.keys + (c + k) * kKeys + i, v[k]);
  }
}

// Keys [j, j + kKeys) that lie in [lo, hi), transposed to keys[column][key]; the others are zero.
void load_keys(Tile& t, int64_t j, int64_t lo, int64_t hi) {
  for (int64_t i = 0; i < t.wide; i += kLanes) {
    In row[kLanes];
    for (int64_t k = 0; k < kLanes; ++k) {
      const bool there = j + i + k >= lo && j + i + k < hi;
      row[k] = there ? t.k.read(t.row[i + k], k) : In{nullptr, t.k.type};
    }
    transpose_keys(t, row, i);
  }
}

#if defined(__AVX512BF16__)
// values[pair of keys][column][2]
void interleave_values(Tile& t, int64_t j, int64_t lo, int64_t hi) {
  const I low = _mm512_set_epi64(11, 10, 3, 2, 9, 8, 1, 0), high = _mm512_set_epi64(15, 14, 7, 6, 13, 12, 5, 4);
  for (int64_t i = 0; i < t.wide; i += 2) {
    const uint16_t* row[2];
    for (int64_t k = 0; k < 2; ++k) {
      const bool there = j + i + k >= lo && j + i + k < hi;
      row[k] = there ? static_cast<const uint16_t*>(t.v.read(t.row[i + k], k).p) : nullptr;
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

// Values are read where they lie if they are floats.
bool reads_values(const Tile& t) { return t.v_pad == t.v_dim && t.v.stored == DType::kF32; }

void load_values(Tile& t, int64_t j, int64_t lo, int64_t hi) {
#if defined(__AVX512BF16__)
  if (value_pairs(t)) return interleave_values(t, j, lo, hi);
#endif
  const bool direct = reads_values(t);
  for (int64_t i = 0; i < t.wide; ++i) {
    float* row = t.values + i * t.v_pad;
    t.value_row[i] = row;
    if (j + i < lo || j + i >= hi) {
      if (!direct) memset(row, 0, static_cast<size_t>(t.v_pad) * sizeof(float));
      continue;
    }
    const In in = t.v.read(t.row[i], 0);
    if (direct) {
      t.value_row[i] = in.p;
      continue;
    }
    for (int64_t c = 0; c < t.v_pad; c += kLanes) {
      const int64_t n = smaller(kLanes, t.v_dim - c);
      storeu(row + c, n > 0 ? load(in, c, n) : zero());
    }
  }
}

#if defined(__AVX512BF16__)
template <int M, int V>
TRANSOM_INLINE void score_pairs(Tile& t, int64_t r, float* p) {
  const int64_t pairs = t.head_dim / 2;
  const auto* q = reinterpret_cast<const std::byte*>(t.q) + r * pairs * 4;
  for (int64_t i = 0; i < t.wide; i += V * kLanes) {
    F acc[M][V];
    for (auto& row : acc)
      for (F& x : row) x = zero();
    for (int64_t c = 0; c < pairs; ++c) {
      I k[V];
      for (int v = 0; v < V; ++v) k[v] = load_i(t.keys + c * kKeys + i + v * kLanes);
      for (int m = 0; m < M; ++m) {
        int32_t pair;
        memcpy(&pair, q + (m * pairs + c) * 4, 4);
        for (int v = 0; v < V; ++v) acc[m][v] = dot_pairs(acc[m][v], set1_i32(pair), k[v]);
      }
    }
    for (int m = 0; m < M; ++m)
      for (int v = 0; v < V; ++v) storeu(p + m * kKeys + i + v * kLanes, acc[m][v] * set1(t.a.scale));
  }
}
#endif

// p[M][key] = scale * q · k for M rows, V vectors of keys at a time.
template <int M, int V>
TRANSOM_INLINE void score_rows(Tile& t, int64_t r, float* p) {
#if defined(__AVX512BF16__)
  if (in_pairs(t)) return score_pairs<M, V>(t, r, p);
#endif
  const float* q = t.q + r * t.head_dim;
  for (int64_t i = 0; i < t.wide; i += V * kLanes) {
    F acc[M][V];
    for (auto& row : acc)
      for (F& x : row) x = zero();
    for (int64_t c = 0; c < t.head_dim; ++c) {
      F k[V];
      for (int v = 0; v < V; ++v) k[v] = loadu(t.keys + c * kKeys + i + v * kLanes);
      for (int m = 0; m < M; ++m) {
        const F x = set1(q[m * t.head_dim + c]);
        for (int v = 0; v < V; ++v) acc[m][v] = fma(x, k[v], acc[m][v]);
      }
    }
    for (int m = 0; m < M; ++m)
      for (int v = 0; v < V; ++v) storeu(p + m * kKeys + i + v * kLanes, acc[m][v]);
  }
}

#if defined(__AVX512BF16__)
// V vectors of columns at a time.
template <int M, int V>
TRANSOM_INLINE void weigh_pairs(Tile& t, int64_t r, const float* p, int64_t first, int64_t last) {
  for (int64_t c = 0; c < t.v_dim; c += V * kLanes) {
    F acc[M][V];
    for (int m = 0; m < M; ++m)
      for (int v = 0; v < V; ++v) acc[m][v] = loadu(t.part + (r + m) * t.v_pad + c + v * kLanes);
    for (int64_t i = first / 2; 2 * i < last; ++i) {
      I x[V];
      for (int v = 0; v < V; ++v) x[v] = load_i(t.values + i * t.v_pad + c + v * kLanes);
      for (int m = 0; m < M; ++m) {
        int32_t pair;
        memcpy(&pair, p + m * kKeys + i, 4);
        for (int v = 0; v < V; ++v) acc[m][v] = dot_pairs(acc[m][v], set1_i32(pair), x[v]);
      }
    }
    for (int m = 0; m < M; ++m)
      for (int v = 0; v < V; ++v) storeu(t.part + (r + m) * t.v_pad + c + v * kLanes, acc[m][v]);
  }
}
#endif
template <int M>
void weigh_values(Tile& t, int64_t r, const float* p, int64_t first, int64_t last) {
#if defined(__AVX512BF16__)
  if (value_pairs(t)) return t.v_dim <= 2 * kLanes ? weigh_pairs<M, 2>(t, r, p, first, last) : weigh_pairs<M, 4>(t, r, p, first, last);
#endif
  weigh_rows<M>(t, r, p, first, last, DType::kF32, [] {});
}

// The keys [lo, hi), of one segment, into t.part.
void attend_transposed(Tile& t, int64_t lo, int64_t hi) {
  const int64_t start = lo / kKeys * kKeys;
  for (int64_t j = start; j < hi; j += kKeys) {
    t.enter(j, lo, hi, j == start);
    t.wide = hi - j > kKeys / 2 ? kKeys : kKeys / 2;
    load_keys(t, j, lo, hi);
    load_values(t, j, lo, hi);
    const int64_t first = larger(lo - j, 0), last = smaller(hi - j, kKeys);
    for (int64_t r = 0; r < t.rows; r += kAtOnce) {
      t.wide == kKeys ? score_rows<kAtOnce, 4>(t, r, t.p) : score_rows<kAtOnce, kKeys / 2 / kLanes>(t, r, t.p);
      soften_rows(t, r, smaller(kAtOnce, t.rows - r), j, t.p);
      weigh_values<kAtOnce>(t, r, t.p, first, last);
    }
  }
}

// One segment's keys [j0, j1) into t.part.
void attend(Tile& t, int64_t j0, int64_t j1) {
  clear(t, t.part, t.part_max, t.part_sum);
  int64_t lo = j1, hi = j0;
  for (int64_t r = 0; r < t.rows; ++r) lo = smaller(lo, t.begin[r]), hi = larger(hi, t.end[r]);
  lo = larger(lo, j0), hi = smaller(hi, j1);
  t.few ? attend_few(t, lo, hi) : attend_transposed(t, lo, hi);
}

}  // namespace

size_t attention_scratch(const AttentionArgs& a) {
  const int64_t hd = round_up(a.q.cols / a.heads, kLanes), v = padded4(a.out.cols / a.heads);
  const int64_t decoded = kDecodedRows * kFewHeads * larger(hd, v);
  const int64_t n = kAttentionRows * (hd + 2 * v + 4) + kFewHeads * kFewAttentionRows * kKeys + (hd + kLanes) * kKeys + kKeys * v + decoded + 16 * 11;
  return static_cast<size_t>(n) * sizeof(float);
}
int64_t attention_part_floats(const AttentionArgs& a) { return kAttentionRows * (padded4(a.out.cols / a.heads) + 2); }

void attention(const AttentionArgs& a, const AttentionTile& of, std::byte* scratch) {
  Tile t(a, of, scratch);
  t.few ? load_queries_few(t) : load_queries(t);
  clear(t, t.whole, t.whole_max, t.whole_sum);
  const int64_t lo = t.begin[0], hi = t.end[t.rows - 1];  // rows are in order of position
  for (int64_t j = lo / kAttentionSegment * kAttentionSegment; j < hi; j += kAttentionSegment) {
    attend(t, j, j + kAttentionSegment);
    merge_rows(t, t.part_max, t.part_sum, t.part);
  }
  write_rows(t);
}

void attention_part(const AttentionArgs& a, const AttentionTile& of, int64_t segment, float* out, std::byte* scratch) {
  Tile t(a, of, scratch);
  const auto rows = static_cast<size_t>(t.places());
  t.few ? load_queries_few(t) : load_queries(t);
  attend(t, segment * kAttentionSegment, (segment + 1) * kAttentionSegment);
  memcpy(out, t.part_max, rows * sizeof(float));
  memcpy(out + kAttentionRows, t.part_sum, rows * sizeof(float));
  memcpy(out + 2 * kAttentionRows, t.part, rows * static_cast<size_t>(t.v_pad) * sizeof(float));
}

void attention_merge(const AttentionArgs& a, const AttentionTile& of, int64_t segments, const float* parts, std::byte* scratch) {
  Tile t(a, of, scratch);
  clear(t, t.whole, t.whole_max, t.whole_sum);
  for (int64_t i = 0; i < segments; ++i) {
    const float* part = parts + i * attention_part_floats(a);
    merge_rows(t, part, part + kAttentionRows, part + 2 * kAttentionRows);
  }
  write_rows(t);
}

}  // namespace transom::cpu::TRANSOM_ISA
