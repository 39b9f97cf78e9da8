// What both ways of attention share: a tile of rows with its sums, the keys that each row sees, and their softening.
// Sums run over blocks of kKeys keys, at multiples of kKeys of the sequence whatever the tile, with an online softmax (Milakov & Gimelshein
// 2018); every kAttentionSegment keys they are closed and merged in order.
#pragma once

#include "kernels/cpu/expand.h"
#include "kernels/cpu/isa.h"
#if defined(__AVX512BF16__)
#include "kernels/cpu/levels_bf16.h"
#endif
#include "kernels/cpu/math.h"

namespace transom::cpu::TRANSOM_ISA {
namespace {

constexpr int64_t kKeys = 64, kAtOnce = 4;  // kAtOnce rows x 4 vectors of sums stay in registers
constexpr float kNone = -__builtin_inff();

TRANSOM_INLINE int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }
TRANSOM_INLINE int64_t padded4(int64_t n) { return round_up(n, 4 * kLanes); }

#if defined(__AVX512BF16__)
constexpr DType kDecodedType = DType::kBF16;
#else
constexpr DType kDecodedType = DType::kF32;
#endif
// n elements of blocks of 32, as kDecodedType.
inline void decode_blocks(DType type, const std::byte* p, int64_t n, void* to) {
  with_block_format(type, [&](auto f) {
    using Fmt = decltype(f);
#if defined(__AVX512BF16__)
    look_up_bf16<Fmt>(reinterpret_cast<Bytes>(p), n, static_cast<uint16_t*>(to));
#else
    expand_format<Fmt>(reinterpret_cast<Bytes>(p), n, [to](int64_t i, F a, F b) {
      storeu(static_cast<float*>(to) + i, a);
      storeu(static_cast<float*>(to) + i + kLanes, b);
    });
#endif
  });
}

// The columns of some kv heads in the rows of keys or of values: where they lie, and as what they are read. Blocks of a quantized type are
// first decoded, up to kDecodedRows rows at a time.
constexpr int64_t kDecodedRows = 16;
struct KeptRows {
  DType stored, type;  // `type` is a float type
  int64_t stride, columns;  // stride in bytes
  const std::byte* data;    // of row 0, at the first column
  void* decoded = nullptr;

  KeptRows(const ConstView& of, int64_t column, int64_t n)
      : stored(of.dtype), type(is_quantized(of.dtype) ? kDecodedType : of.dtype), stride(row_bytes(of.dtype, of.stride)), columns(n),
        data(static_cast<const std::byte*>(of.data) + row_bytes(of.dtype, column)) {}
  const std::byte* row(int64_t r) const { return data + r * stride; }
  int64_t bytes() const { return row_bytes(stored, columns); }
  // Row r as `type`; if it has to be decoded, in place i of those that are.
  In read(int64_t r, int64_t i) const {
    if (stored == type) return {row(r), type};
    void* to = static_cast<char*>(decoded) + i * columns * (type == DType::kF32 ? 4 : 2);
    decode_blocks(stored, row(r), columns, to);
    return {to, type};
  }
};

// Rows are numbered through the tile's kv heads, `each` places a head, of which the first `rows` are taken. Sums are
// out[row][v_pad] with their maximum and weight: the segment's and the whole's.
struct Tile {
  const AttentionArgs& a;
  int32_t s;
  int64_t kv, kvs, group, head_dim, v_dim, v_pad, r0, rows, each;
  bool few;
  float *q, *keys, *values, *p, *part, *whole, *part_max, *part_sum, *whole_max, *whole_sum;
  KeptRows k, v;
  int64_t wide = kKeys;  // keys of the block under way that are computed, of which some may not be there: kKeys or half of them
  int64_t begin[kAttentionRows], end[kAttentionRows];  // the keys that row r of every kv head sees
  const void* value_row[kKeys];                        // of the type that weigh_rows is told
  // Where the state has the keys of the block under way and of the next one; of that, only [ahead_begin, ahead_end) are wanted.
  int64_t rows_of[2][kKeys], *row = rows_of[0], *ahead = rows_of[1], ahead_begin = 0, ahead_end = 0;

  Tile(const AttentionArgs& args, const AttentionTile& of, std::byte* scratch)
      : a(args), s(of.s), kv(of.kv), kvs(of.kvs), group(args.heads / args.kv_heads), head_dim(args.q.cols / args.heads),
        v_dim(args.out.cols / args.heads), v_pad(padded4(v_dim)), r0(of.r0), rows(of.rows), each(round_up(of.rows, kAtOnce)), few(of.few),
        k(args.k, of.kv * head_dim, of.kvs * head_dim), v(args.v, of.kv * v_dim, of.kvs * v_dim) {
    float* next = reinterpret_cast<float*>(scratch);
    const auto take = [&](int64_t n) {
      float* p0 = next;
      next += round_up(n, 16);
      return p0;
    };
    q = take(kAttentionRows * head_dim);
    keys = take((head_dim + kLanes) * kKeys);
    values = take(kKeys * v_pad);
    p = take(kFewHeads * kFewAttentionRows * kKeys);
    part = take(kAttentionRows * v_pad);
    whole = take(kAttentionRows * v_pad);
    part_max = take(kAttentionRows);
    part_sum = take(kAttentionRows);
    whole_max = take(kAttentionRows);
    whole_sum = take(kAttentionRows);
    k.decoded = v.decoded = take(kDecodedRows * larger(of.kvs * head_dim, of.kvs * v_dim));
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t at = position(r), window = a.mask.window, chunk = a.mask.chunk;
      begin[r] = window > 0 ? larger(0, at - window + 1) : 0;
      if (chunk > 0) begin[r] = larger(begin[r], at / chunk * chunk);
      end[r] = a.mask.causal ? at + 1 : a.seqs.kv_len[s];
      if (window > 0) end[r] = smaller(end[r], at + window);
    }
  }
  int64_t places() const { return kvs * each; }
  bool taken(int64_t place) const { return place % each < rows; }
  int64_t token(int64_t place) const { return a.seqs.q_start[s] + (r0 + place % each) / group; }
  int64_t head(int64_t place) const { return (kv + place / each) * group + (r0 + place % each) % group; }
  int64_t position(int64_t place) const { return a.seqs.kv_len[s] - (a.seqs.q_start[s + 1] - token(place)); }
  // Of the keys [j, j + kKeys) those that lie in [lo, hi).
  void find_rows(int64_t* found, int64_t j, int64_t lo, int64_t hi) const {
    const SequenceTable& t = a.seqs;
    const int64_t from = larger(j, lo), to = smaller(j + kKeys, hi);
    const int64_t size = t.pages ? t.page_size : to;  // without pages, one that holds all
    for (int64_t k = from; k < to;) {
      const int64_t page = k / size, at = k % size, n = smaller(to - k, size - at);
      const int64_t first = t.pages ? int64_t{t.pages[int64_t{s} * t.max_pages + page]} * size + at : (t.k_start ? t.k_start : t.q_start)[s] + k;
      for (int64_t i = 0; i < n; ++i) found[k - j + i] = first + i;
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

// Where the instruction set multiplies pairs of bfloat16, scores are formed of queries as bfloat16 and keys as they are, and scaled afterwards.
TRANSOM_INLINE bool in_pairs(const Tile& t) {
#if defined(__AVX512BF16__)
  return t.k.type == DType::kBF16 && t.head_dim % (2 * kLanes) == 0;
#else
  return t.rows < 0;  // never
#endif
}
// Likewise values and the weights of their sums, which are rounded to bfloat16.
TRANSOM_INLINE bool value_pairs(const Tile& t) {
#if defined(__AVX512BF16__)
  return t.v.type == DType::kBF16 && t.v_dim % (2 * kLanes) == 0;
#else
  return t.rows < 0;
#endif
}

// One row's columns as floats, times the scale.
TRANSOM_INLINE void load_query(const Tile& t, int64_t place, float* out) {
  const In in = in_row(t.a.q, t.token(place));
  for (int64_t c = 0; c < t.head_dim; c += kLanes) {
    const int64_t n = smaller(kLanes, t.head_dim - c);
    store({out, DType::kF32}, c, load(in, t.head(place) * t.head_dim + c, n) * set1(t.a.scale), n);
  }
}
// The same as bfloat16, without the scale.
TRANSOM_INLINE void load_query_bf16(const Tile& t, int64_t place, void* out) {
  const In in = in_row(t.a.q, t.token(place));
  for (int64_t c = 0; c < t.head_dim; c += kLanes) store({out, DType::kBF16}, c, load(in, t.head(place) * t.head_dim + c));
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
  const int64_t h = t.head(r), p = t.position(r), first = larger(t.begin[r % t.each] - j, 0), last = smaller(t.end[r % t.each] - j, kKeys);
  const float* by_query = rel.by_query ? rel.by_query.row<float>(t.token(r)) + h * rel.buckets : nullptr;
  memset(out, 0, kKeys * sizeof(float));
  for (int64_t i = first; i < last; ++i) {
    const int64_t distance = larger(-rel.reach, smaller(rel.reach, j + i - p)), b = rel.bucket[distance + rel.reach];
    if (rel.by_head) out[i] += rel.by_head.row<float>(b)[h];
    if (by_query) out[i] += by_query[b];
    if (rel.by_key) out[i] += rel.by_key.row<float>(t.row[i])[h * rel.buckets + b];
  }
}

bool seen_whole(const Tile& t, int64_t place, int64_t j) { return t.begin[place % t.each] <= j && t.end[place % t.each] >= j + kKeys; }

// What is not just scale * q · k: score modifications, and keys that the row does not see.
void adjust_row(const Tile& t, int64_t place, int64_t j, float* p) {
  const ScoreMod& mod = t.a.mod;
  const float b = static_cast<float>(t.begin[place % t.each] - j), e = static_cast<float>(t.end[place % t.each] - j);
  float relative[kKeys];
  if (mod.relative.bucket) relative_scores(t, place, j, relative);
  for (int64_t i = 0; i < t.wide; i += kLanes) {
    F x = loadu(p + i);
    const float at = static_cast<float>(i);
    if (mod.softcap > 0) x = set1(mod.softcap) * tanh(x / set1(mod.softcap));
    if (mod.alibi) {
      const F distance = lane_numbers() + set1(static_cast<float>(j + i - t.position(place)));
      x = fma(set1(mod.alibi[t.head(place)]), distance, x);
    }
    if (mod.relative.bucket) x = x + loadu(relative + i);
    storeu(p + i, between(x, b - at, e - at, set1(kNone)));
  }
}

// Four maxima as sum4's four sums.
TRANSOM_INLINE __m128 max4(F a, F b, F c, F d) {
  const auto quarter = [](F v) {
#if defined(__AVX512F__)
    const __m256 w = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
#else
    const __m256 w = v;
#endif
    return _mm_max_ps(_mm256_castps256_ps128(w), _mm256_extractf128_ps(w, 1));
  };
  const __m128 x = quarter(a), y = quarter(b), z = quarter(c), w = quarter(d);
  const __m128 xy = _mm_max_ps(_mm_unpacklo_ps(x, y), _mm_unpackhi_ps(x, y)), zw = _mm_max_ps(_mm_unpacklo_ps(z, w), _mm_unpackhi_ps(z, w));
  return _mm_max_ps(_mm_movelh_ps(xy, zw), _mm_movehl_ps(zw, xy));
}

// Scores p[4][kKeys] of the rows from `place` to probabilities relative to their running maxima, which are raised first; the sums shrink with
// them. Of the four only `rows` are taken.
void soften_rows(Tile& t, int64_t place, int64_t rows, int64_t j, float* p) {
  const ScoreMod& mod = t.a.mod;
  const bool modified = mod.softcap > 0 || mod.alibi || mod.relative.bucket;
  F top[4] = {set1(kNone), set1(kNone), set1(kNone), set1(kNone)}, total[4] = {zero(), zero(), zero(), zero()};
  for (int64_t m = 0; m < rows; ++m) {
    if (modified || !seen_whole(t, place + m, j)) adjust_row(t, place + m, j, p + m * kKeys);
    for (int64_t i = 0; i < t.wide; i += kLanes) top[m] = max(top[m], loadu(p + m * kKeys + i));
  }
  const __m128 none = _mm_set1_ps(kNone), log2e = _mm_set1_ps(1.44269504f);
  const __m128 old = _mm_loadu_ps(t.part_max + place), highest = _mm_max_ps(old, max4(top[0], top[1], top[2], top[3]));
  const __m128 from = _mm_andnot_ps(_mm_cmpeq_ps(highest, none), highest);  // a row that sees no key yet has probabilities of 0
  alignas(16) float base[4], shrink[kLanes] = {};
  _mm_store_ps(base, from);
  for (int64_t m = 0; m < rows; ++m) {
    for (int64_t i = 0; i < t.wide; i += kLanes) {
      const F x = exp2_negative((loadu(p + m * kKeys + i) - set1(base[m])) * set1(1.44269504f));
      storeu(p + m * kKeys + i, x);
      total[m] = total[m] + x;
    }
#if defined(__AVX512BF16__)
    if (value_pairs(t))
      for (int64_t i = 0; i < t.wide; i += 2 * kLanes) {
        const __m512bh two = _mm512_cvtne2ps_pbh(loadu(p + m * kKeys + i + kLanes), loadu(p + m * kKeys + i));
        memcpy(p + m * kKeys + i / 2, &two, sizeof two);
      }
#endif
  }
  _mm_storeu_ps(shrink, _mm_mul_ps(_mm_sub_ps(old, from), log2e));
  storeu(shrink, exp2_negative(loadu(shrink)));
  const __m128 sums = sum4(total[0], total[1], total[2], total[3]), before = _mm_loadu_ps(t.part_sum + place);
  _mm_storeu_ps(t.part_sum + place, _mm_add_ps(_mm_mul_ps(before, _mm_loadu_ps(shrink)), sums));
  _mm_storeu_ps(t.part_max + place, highest);
  const int raised = _mm_movemask_ps(_mm_cmpgt_ps(highest, old));
  for (int64_t m = 0; m < rows; ++m)
    if (raised >> m & 1)
      for (int64_t c = 0; c < t.v_pad; c += kLanes) {
        float* part = t.part + (place + m) * t.v_pad + c;
        storeu(part, loadu(part) * set1(shrink[m]));
      }
}

// part[row] += p[M][kKeys] · values of `type` for M rows, over the keys [first, last) of the block; step() at each.
template <int M, class Step>
TRANSOM_INLINE void weigh_rows(Tile& t, int64_t r, const float* p, int64_t first, int64_t last, DType type, Step step) {
  for (int64_t c = 0; c < t.v_pad; c += 4 * kLanes) {
    F acc[M][4];
    for (int m = 0; m < M; ++m)
      for (int v = 0; v < 4; ++v) acc[m][v] = loadu(t.part + (r + m) * t.v_pad + c + v * kLanes);
    for (int64_t i = first; i < last; ++i) {
      step();
      F x[4];
      for (int v = 0; v < 4; ++v) x[v] = load({t.value_row[i], type}, c + v * kLanes);
      for (int m = 0; m < M; ++m) {
        const F w = set1(p[m * kKeys + i]);
        for (int v = 0; v < 4; ++v) acc[m][v] = fma(w, x[v], acc[m][v]);
      }
    }
    for (int m = 0; m < M; ++m)
      for (int v = 0; v < 4; ++v) storeu(t.part + (r + m) * t.v_pad + c + v * kLanes, acc[m][v]);
  }
}

void clear(Tile& t, float* out, float* top, float* total) {
  const int64_t rows = t.places();
  for (int64_t r = 0; r < rows; ++r) top[r] = kNone, total[r] = 0;
  memset(out, 0, static_cast<size_t>(rows * t.v_pad) * sizeof(float));
}

// Adds a segment's sums to the whole's: both are brought to the larger maximum.
void merge_rows(Tile& t, const float* part_max, const float* part_sum, const float* part) {
  for (int64_t r = 0; r < t.places(); ++r) {
    float &top = t.whole_max[r], &total = t.whole_sum[r];
    if (part_max[r] == kNone) continue;
    const float highest = __builtin_fmaxf(top, part_max[r]);
    const float f = top == kNone ? 0.f : __builtin_expf(top - highest), g = __builtin_expf(part_max[r] - highest);
    total = total * f + part_sum[r] * g;
    top = highest;
    float* whole = t.whole + r * t.v_pad;
    for (int64_t c = 0; c < t.v_pad; c += kLanes) storeu(whole + c, fma(loadu(part + r * t.v_pad + c), set1(g), loadu(whole + c) * set1(f)));
  }
}

void write_rows(Tile& t) {
  const AttentionArgs& a = t.a;
  for (int64_t r = 0; r < t.places(); ++r) {
    if (!t.taken(r)) continue;
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
}  // namespace transom::cpu::TRANSOM_ISA
