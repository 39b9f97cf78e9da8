// Few activation rows times a weight as stored: each weight row is read once per four of them, unpacked in registers and
// multiplied with 16-bit activations in exact integer sums of a block, which are scaled and added in float:
//   y = Σ_blocks d_w d_x (Σ q_w q_x) + min_w d_x Σ q_x.
// An activation row's sum has one order, whatever rows are computed beside it.
#include "kernels/cpu/finish.h"
#include "kernels/cpu/formats.h"
#include "kernels/cpu/isa.h"

namespace transom::cpu::TRANSOM_ISA {
namespace {

// A group's activations: what dot products with Group::first and Group::second want of them; and, in quad order, d * sum of q over each
// lane's elements and d, each block's on its lanes.
constexpr int kGroupChunks = 6;
static_assert(kGroupChunks * kChunk == kQ16Bytes * 32 * kGroupBlocks);
struct X16 {
  I v[4];
};
TRANSOM_INLINE const std::byte* group_at(const std::byte* q, int64_t group) { return q + group * kGroupChunks * kChunk; }
TRANSOM_INLINE X16 load_x(const std::byte* p) { return {{load_i(p), load_i(p + kChunk), load_i(p + 2 * kChunk), load_i(p + 3 * kChunk)}}; }
TRANSOM_INLINE F lane_sums(const std::byte* p) { return loadu(reinterpret_cast<const float*>(p + 4 * kChunk)); }
TRANSOM_INLINE F lane_scales(const std::byte* p) { return loadu(reinterpret_cast<const float*>(p + 5 * kChunk)); }

#if defined(__AVX512F__)
// A word is 256 * its upper byte + its lower byte, both signed: X16 has the upper bytes of both halves, then the lower ones.
struct Words {
  I v[2];
  TRANSOM_INLINE Words() {}
  TRANSOM_INLINE explicit Words(Group g) : v{g.first, g.second} {}
};
TRANSOM_INLINE I times_256(I v) { return _mm512_slli_epi32(v, 8); }
template <int kHalf>
TRANSOM_INLINE I dot_half(const Words& w, const X16& x) {
  return dot_u8(times_256(dot_u8(zero_i(), w.v[kHalf], x.v[kHalf])), w.v[kHalf], x.v[2 + kHalf]);
}
TRANSOM_INLINE I dot_group(const Words& w, const X16& x) {
  const I upper = dot_u8(dot_u8(zero_i(), w.v[0], x.v[0]), w.v[1], x.v[1]);
  return dot_u8(dot_u8(times_256(upper), w.v[0], x.v[2]), w.v[1], x.v[3]);
}
#else
// X16 has the words of the even and of the odd bytes of `first`, then of `second`.
struct Words {
  I v[4];
  TRANSOM_INLINE Words() {}
  TRANSOM_INLINE explicit Words(Group g) : v{even(g.first), shift_right(g.first, 8), even(g.second), shift_right(g.second, 8)} {}
  TRANSOM_INLINE static I even(I v) { return _mm256_and_si256(v, _mm256_set1_epi16(255)); }
};
template <int kHalf>
TRANSOM_INLINE I dot_half(const Words& w, const X16& x) {
  return _mm256_add_epi32(_mm256_madd_epi16(w.v[2 * kHalf], x.v[2 * kHalf]), _mm256_madd_epi16(w.v[2 * kHalf + 1], x.v[2 * kHalf + 1]));
}
TRANSOM_INLINE I dot_group(const Words& w, const X16& x) { return _mm256_add_epi32(dot_half<0>(w, x), dot_half<1>(w, x)); }
#endif

struct XRow {
  const std::byte* q[2];  // by Order
  const float *d, *s32, *s16;
};
TRANSOM_INLINE XRow x_row(const LinearX& x, int64_t t) {
  const int64_t blocks = x.padded / 32, at = t * x.padded * kQ16Bytes;
  return {{x.q16[0] + at, x.q16[1] + at}, x.d + t * blocks, x.s32 + t * blocks, x.s16 + t * blocks * 2};
}
// A value of each block of a group, of which kGroupBlocks count.
TRANSOM_INLINE __m128 load_blocks(const float* p) {
  return kWide ? _mm_loadu_ps(p) : _mm_castsi128_ps(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
}
// In pair order, on the lanes of half h: blocks h and h + 2 (with 32-byte vectors: block h).
template <int kHalf>
TRANSOM_INLINE F half_lanes(__m128 blocks) {
#if defined(__AVX512F__)
  const I index = _mm512_set_epi32(2, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0);
  return _mm512_permutexvar_ps(_mm512_add_epi32(index, set1_i32(kHalf)), _mm512_castps128_ps512(blocks));
#else
  return _mm256_broadcastss_ps(_mm_shuffle_ps(blocks, blocks, kHalf * 0x55));
#endif
}
TRANSOM_INLINE F widen(__m128 v) {  // then zeros
#if defined(__AVX512F__)
  return _mm512_zextps128_ps512(v);
#else
  return _mm256_zextps128_ps256(v);
#endif
}

// How far ahead of the bytes being read to prefetch. Rows are read one after the other, as one stream: several streams of
// short rows side by side defeat the hardware's own prefetching, and cost a third of the speed.
constexpr int64_t kAhead = 2048;
TRANSOM_INLINE void prefetch(Bytes p, int bytes) {
  for (int line = 0; line < bytes; line += 64) _mm_prefetch(reinterpret_cast<const char*>(p + kAhead + line), _MM_HINT_T0);
}

// The sums of R weight rows of a format of small blocks and T activation rows.
template <class Fmt, int R, int T>
struct SmallSums {
  static constexpr bool kQuad = Fmt::kOrder == Order::kQuad;
  F acc[R][T];
  __m128 minus[R][T];  // pair order's: of each block

  TRANSOM_INLINE SmallSums() {
    for (int r = 0; r < R; ++r)
      for (int t = 0; t < T; ++t) acc[r][t] = zero(), minus[r][t] = _mm_setzero_ps();
  }
  TRANSOM_INLINE void add(const typename Fmt::RawGroup (&raw)[R], const XRow* x, int64_t b) {
    Words q[R] = {};
    for (int r = 0; r < R; ++r) q[r] = Words(Fmt::quants(raw[r]));
    for (int t = 0; t < T; ++t) {
      const std::byte* p = group_at(x[t].q[kQuad ? 0 : 1], b / kGroupBlocks);
      const X16 xq = load_x(p);
      if constexpr (kQuad) {
        const F dx = lane_scales(p), sx = lane_sums(p), bias = sx * set1(-Fmt::kBias);
        for (int r = 0; r < R; ++r) {
          const F dot = to_float(dot_group(q[r], xq));
          acc[r][t] = fma(Fmt::kBias ? fma(dot, dx, bias) : dot * dx, Fmt::scale(raw[r]), acc[r][t]);
          if (Fmt::kMin) acc[r][t] = fma(Fmt::min(raw[r]), sx, acc[r][t]);
        }
      } else {
        const __m128 dx = load_blocks(x[t].d + b), sx = load_blocks(x[t].s32 + b);
        for (int r = 0; r < R; ++r) {
          const __m128 s = Fmt::scales(raw[r]), both = s * dx;
          acc[r][t] = fma(to_float(dot_half<0>(q[r], xq)), half_lanes<0>(both), acc[r][t]);
          acc[r][t] = fma(to_float(dot_half<1>(q[r], xq)), half_lanes<1>(both), acc[r][t]);
          minus[r][t] = _mm_fmadd_ps(s, sx, minus[r][t]);
        }
      }
    }
  }
  TRANSOM_INLINE F total(int r, int t) const {
    return kQuad ? acc[r][t] : fnma(set1(Fmt::kBias), widen(minus[r][t]), acc[r][t]);
  }
};
template <class Fmt, int R, int T>
TRANSOM_INLINE void dot_small(const Bytes (&w)[R], const XRow* x, int64_t blocks, F (&sums)[R][T]) {
  using Raw = typename Fmt::RawGroup;
  SmallSums<Fmt, R, T> all;
  int64_t b = 0;
  for (; b + kGroupBlocks <= blocks; b += kGroupBlocks) {
    Bytes p[R];
    for (int r = 0; r < R; ++r) p[r] = w[r] + b * Fmt::kBytes;
    for (int r = 0; r < R; ++r) prefetch(p[r], kGroupBlocks * Fmt::kBytes);
    if constexpr (R == 1) all.add({Raw(p[0])}, x, b);
    else if constexpr (R == 2) all.add({Raw(p[0]), Raw(p[1])}, x, b);
    else all.add({Raw(p[0]), Raw(p[1]), Raw(p[2]), Raw(p[3])}, x, b);
  }
  if (b < blocks) {
    const int64_t at = b * Fmt::kBytes;
    const int rest = static_cast<int>(blocks - b);
    if constexpr (R == 1) all.add({Raw(w[0] + at, rest)}, x, b);
    else if constexpr (R == 2) all.add({Raw(w[0] + at, rest), Raw(w[1] + at, rest)}, x, b);
    else all.add({Raw(w[0] + at, rest), Raw(w[1] + at, rest), Raw(w[2] + at, rest), Raw(w[3] + at, rest)}, x, b);
  }
  for (int r = 0; r < R; ++r)
    for (int t = 0; t < T; ++t) sums[r][t] = all.total(r, t);
}

// A block's scales times the activations' scales, and where a group's dot products want them.
template <class Fmt>
struct Scales {
  static constexpr int kCount = 256 / Fmt::kScaled;
#if defined(__AVX512F__)
  F s;
  TRANSOM_INLINE Scales(const float* groups, const float* dx) {
    if (kCount == 8) {  // as wide as it was stored: a wider load would wait for the store
      s = _mm512_castps256_ps512(_mm256_loadu_ps(groups) * _mm256_loadu_ps(dx));
      return;
    }
    const I twice = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
    s = loadu(groups) * _mm512_permutexvar_ps(twice, _mm512_castps256_ps512(_mm256_loadu_ps(dx)));
  }
  TRANSOM_INLINE F pick(I lane, int first) const { return _mm512_permutexvar_ps(_mm512_add_epi32(lane, set1_i32(first)), s); }
  TRANSOM_INLINE F quad(int b) const { return pick(_mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0), b); }
  TRANSOM_INLINE F pair(int b) const {  // blocks b and b + 2
    if (kCount == 8) return pick(_mm512_set_epi32(2, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0), b);
    return pick(_mm512_set_epi32(5, 5, 5, 5, 4, 4, 4, 4, 1, 1, 1, 1, 0, 0, 0, 0), 2 * b);
  }
#else
  F s[2];
  TRANSOM_INLINE Scales(const float* groups, const float* dx) {
    const F d = loadu(dx);
    if (kCount == 8) {
      s[0] = s[1] = loadu(groups) * d;
      return;
    }
    s[0] = loadu(groups) * _mm256_permutevar8x32_ps(d, _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3));
    s[1] = loadu(groups + 8) * _mm256_permutevar8x32_ps(d, _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7));
  }
  TRANSOM_INLINE F quad(int b) const { return _mm256_permutevar8x32_ps(s[0], _mm256_setr_epi32(b, b, b, b, b + 1, b + 1, b + 1, b + 1)); }
  TRANSOM_INLINE F pair(int b) const {
    if (kCount == 8) return _mm256_permutevar8x32_ps(s[0], set1_i32(b));
    const I lane = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
    return _mm256_permutevar8x32_ps(s[b / 4], _mm256_add_epi32(lane, set1_i32(2 * (b % 4))));
  }
#endif
};
// acc + m[i] * sums[i] for count (8 or 16) numbers.
template <int kCount>
TRANSOM_INLINE F fma_sums(const float* m, const float* sums, F acc) {
#if defined(__AVX512F__)
  if (kCount == 16) return fma(loadu(m), loadu(sums), acc);
  return fma(_mm512_zextps256_ps512(_mm256_loadu_ps(m)), _mm512_zextps256_ps512(_mm256_loadu_ps(sums)), acc);
#else
  acc = fma(loadu(m), loadu(sums), acc);
  return kCount == 16 ? fma(loadu(m + 8), loadu(sums + 8), acc) : acc;
#endif
}

// Likewise for blocks of 256. A bias is a minimum of -bias * scale.
template <class Fmt, int R, int T>
TRANSOM_INLINE void dot_super(const Bytes (&w)[R], const XRow* x, int64_t blocks, F (&sums)[R][T]) {
  constexpr bool kQuad = Fmt::kOrder == Order::kQuad;
  constexpr int kCount = Scales<Fmt>::kCount;
  F acc[R][T];
  for (int r = 0; r < R; ++r)
    for (int t = 0; t < T; ++t) acc[r][t] = zero();
  for (int64_t b = 0; b < blocks; ++b) {
    alignas(64) float s[R][16], m[R][16];
    Bytes p[R];
    for (int r = 0; r < R; ++r) {
      p[r] = w[r] + b * Fmt::kBytes;
      prefetch(p[r], Fmt::kBytes);
      Fmt::scales(p[r], s[r], m[r]);
      if constexpr (!Fmt::kMin && kCount == kLanes)
        storeu(m[r], loadu(s[r]) * set1(-static_cast<float>(Fmt::kBias)));
      else if constexpr (!Fmt::kMin)
        for (int i = 0; i < kCount; i += 8) store8(m[r] + i, _mm256_loadu_ps(s[r] + i) * _mm256_set1_ps(-static_cast<float>(Fmt::kBias)));
      for (int t = 0; t < T; ++t)
        acc[r][t] = fma_sums<kCount>(m[r], kCount == 8 ? x[t].s32 + 8 * b : x[t].s16 + 16 * b, acc[r][t]);
    }
    for (int g = 0; g < 8; g += kGroupBlocks) {
      Words q[R] = {};
      for (int r = 0; r < R; ++r) q[r] = Words(Fmt::quants(p[r], g));
      for (int t = 0; t < T; ++t) {
        const X16 xq = load_x(group_at(x[t].q[kQuad ? 0 : 1], (8 * b + g) / kGroupBlocks));
        for (int r = 0; r < R; ++r) {
          const Scales<Fmt> scales(s[r], x[t].d + 8 * b);
          if constexpr (kQuad) {
            acc[r][t] = fma(to_float(dot_group(q[r], xq)), scales.quad(g), acc[r][t]);
          } else {
            acc[r][t] = fma(to_float(dot_half<0>(q[r], xq)), scales.pair(g), acc[r][t]);
            acc[r][t] = fma(to_float(dot_half<1>(q[r], xq)), scales.pair(g + 1), acc[r][t]);
          }
        }
      }
    }
  }
  for (int r = 0; r < R; ++r)
    for (int t = 0; t < T; ++t) sums[r][t] = acc[r][t];
}

// A block of weight rows is read as R streams of rows one after the other, which share what is loaded of the activations.
template <class Fmt>
void gemv_format(const LinearTile& g) {
  constexpr int64_t kBlock = 256;  // weight rows whose sums are collected before they are written
  const WeightView& w = *g.weight;
  for (int64_t n0 = g.n0; n0 < g.n1; n0 += kBlock) {
    const int64_t count = smaller(kBlock, g.n1 - n0);
    by_fours(g.t0, g.t1, [&](int64_t t0, auto rows) {
      constexpr int T = decltype(rows)::value, R = T == 1 ? kWide ? 4 : 2 : kWide ? 2 : 1;
      const int64_t each = (count + R - 1) / R;
      XRow x[T];
      for (int t = 0; t < T; ++t) x[t] = x_row(*g.x, t0 + t);
      float out[T][kBlock];
      for (int64_t i = 0; i < each; ++i) {
        Bytes row[R];
        for (int r = 0; r < R; ++r) row[r] = reinterpret_cast<Bytes>(w.data) + (n0 + smaller(r * each + i, count - 1)) * w.row_bytes;
        F sums[R][T];
        if constexpr (Fmt::kElements == 32) dot_small<Fmt>(row, x, w.cols / 32, sums);
        else dot_super<Fmt>(row, x, w.cols / 256, sums);
        for (int t = 0; t < T; ++t) {
          float four[4];
          _mm_storeu_ps(four, sum4(sums[0][t], sums[1 % R][t], sums[2 % R][t], sums[3 % R][t]));
          for (int r = 0; r < R && r * each + i < count; ++r) out[t][r * each + i] = four[r];
        }
      }
      for (int t = 0; t < T; ++t) finish_row(g.out, t0 + t, n0, count, out[t]);
    });
  }
}

// Thirty-two activations to 16-bit integers q, d = largest / kLargest (an upper byte of 127 at most), as bytes or words of either half.
constexpr float kLargest = 127 * 256 + 127;
struct Quantized {
  I q[32 / kLanes];
  float d;
};
Quantized quantize_block(const float* x) {
  F top = zero(), nothing = zero();  // NaN if an activation is no number: integers would hide it
  for (int i = 0; i < 32; i += kLanes) top = max(top, abs(loadu(x + i))), nothing = fma(loadu(x + i), zero(), nothing);
  const float most = largest(top);
  const F inverse = set1(most > 0 ? kLargest / most : 0.f);
  Quantized q = {.d = most * (1.f / kLargest) + sum(nothing)};
  if (q.d != q.d) return q;
  for (int i = 0; i < 32 / kLanes; ++i) q.q[i] = to_int(loadu(x + i * kLanes) * inverse);
  return q;
}
// Writes a block, the i-th of its group, as X16 of either order wants it; and the sums of its halves.
#if defined(__AVX512F__)
TRANSOM_INLINE void write_block(const Quantized& b, int64_t i, std::byte* quad, std::byte* pair, float (&sums)[2]) {
  for (int h = 0; h < 2; ++h) {
    const __m128i upper = _mm512_cvtepi32_epi8(_mm512_srai_epi32(_mm512_add_epi32(b.q[h], set1_i32(128)), 8)), lower = _mm512_cvtepi32_epi8(b.q[h]);
    const auto put = [](std::byte* p, __m128i v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v); };
    if (quad) put(quad + h * kChunk + 16 * i, upper), put(quad + (2 + h) * kChunk + 16 * i, lower);
    const int64_t half = i % 2 * kChunk + i / 2 * 32 + 16 * h;
    if (pair) put(pair + half, upper), put(pair + half + 2 * kChunk, lower);
    sums[h] = static_cast<float>(_mm512_reduce_add_epi32(b.q[h])) * b.d;
  }
}
// The sums of a group's words by lanes.
TRANSOM_INLINE I lane_totals(const X16& x) {
  Words ones;
  ones.v[0] = ones.v[1] = set1_i8(1);
  return dot_group(ones, x);
}
#else
TRANSOM_INLINE void write_block(const Quantized& b, int64_t i, std::byte* quad, std::byte* pair, float (&sums)[2]) {
  const auto put = [](std::byte* p, __m128i v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v); };
  const I apart = _mm256_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15, 0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15);
  for (int h = 0; h < 2; ++h) {
    const I words = _mm256_permute4x64_epi64(_mm256_packs_epi32(b.q[2 * h], b.q[2 * h + 1]), 0xd8);
    const I w = _mm256_permute4x64_epi64(_mm256_shuffle_epi8(words, apart), 0xd8);  // evens, odds
    const __m128i even = _mm256_castsi256_si128(w), odd = _mm256_extracti128_si256(w, 1);
    if (quad) put(quad + 2 * h * kChunk + 16 * i, even), put(quad + (2 * h + 1) * kChunk + 16 * i, odd);
    const int64_t half = i * 2 * kChunk + 16 * h;
    if (pair) put(pair + half, even), put(pair + half + kChunk, odd);
    const I pairs = _mm256_madd_epi16(words, _mm256_set1_epi16(1));
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    sums[h] = static_cast<float>(_mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)))) * b.d;
  }
}
TRANSOM_INLINE I lane_totals(const X16& x) {
  Words ones;
  for (I& v : ones.v) v = _mm256_set1_epi16(1);
  return dot_group(ones, x);
}
#endif

void quantize_row(const LinearX& x, const ConstView& v, int64_t t) {
  const In in = in_row(v, t);
  const int64_t blocks = x.padded / 32;
  const auto group = [&](Order order, int64_t g) {
    std::byte* q = x.q16[order == Order::kQuad ? 0 : 1];
    return q ? q + (t * blocks + g * kGroupBlocks) * 32 * kQ16Bytes : nullptr;
  };
  for (int64_t b = 0; b < blocks; ++b) {
    float f[32], sums[2];
    for (int64_t i = 0; i < 32; i += kLanes) {
      const int64_t n = smaller(kLanes, x.cols - 32 * b - i);
      storeu(f + i, n > 0 ? load(in, 32 * b + i, n) : zero());
    }
    const Quantized q = quantize_block(f);
    write_block(q, b % kGroupBlocks, group(Order::kQuad, b / kGroupBlocks), group(Order::kPair, b / kGroupBlocks), sums);
    x.d[t * blocks + b] = q.d;
    x.s32[t * blocks + b] = sums[0] + sums[1];
    x.s16[2 * (t * blocks + b)] = sums[0];
    x.s16[2 * (t * blocks + b) + 1] = sums[1];
  }
  for (int64_t g = 0; g < blocks / kGroupBlocks; ++g) {
    std::byte* p = group(Order::kQuad, g);
    if (!p) return;
    const F d = per_block(x.d + t * blocks + g * kGroupBlocks);
    storeu(reinterpret_cast<float*>(p + 4 * kChunk), to_float(lane_totals(load_x(p))) * d);
    storeu(reinterpret_cast<float*>(p + 5 * kChunk), d);
  }
}

}  // namespace

void prepare_x(const LinearX& x, const ConstView& v, int64_t t) {
  const In in = in_row(v, t);
  const auto fill = [&](Out out) {
    for (int64_t c = 0; c < x.padded; c += kLanes) {
      const int64_t n = smaller(kLanes, x.cols - c);
      store(out, c, n > 0 ? load(in, c, n) : zero());
    }
  };
  if (x.f32 && x.f32 != v.data) fill({x.f32 + t * x.f32_stride, DType::kF32});
  if (x.bf16 && x.bf16 != v.data) fill({x.bf16 + t * x.bf16_stride, DType::kBF16});
  if (x.q16[0] || x.q16[1]) quantize_row(x, v, t);
}

Form gemv_form(DType t) {
  Form form = Form::kF32;
  with_format(t, [&](auto f) { form = decltype(f)::kOrder == Order::kQuad ? Form::kQ16Quad : Form::kQ16Pair; });
  return form;
}

void gemv(const LinearTile& g) {
  if (!with_format(g.weight->dtype, [&](auto f) { gemv_format<decltype(f)>(g); })) gemv_float(g);
}

}  // namespace transom::cpu::TRANSOM_ISA
