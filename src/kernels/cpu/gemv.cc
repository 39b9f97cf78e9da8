// Few activation rows times a weight as stored: each weight row is read once per four of them, unpacked in registers and
// multiplied with 16-bit activations in exact integer sums of a block, which are scaled and added in float:
//   y = Σ_blocks d_w d_x (Σ q_w q_x) + min_w d_x Σ q_x.
// An activation row's sum has one order, whatever rows are computed beside it.
#include "kernels/cpu/finish.h"
#include "kernels/cpu/formats.h"
#include "kernels/cpu/isa.h"

namespace transom::cpu::TRANSOM_ISA {
namespace {

TRANSOM_INLINE I dot_words(I acc, I words, I x) {
#if defined(__AVX512F__)
  return _mm512_dpwssd_epi32(acc, words, x);
#else
  return _mm256_add_epi32(acc, _mm256_madd_epi16(words, x));
#endif
}
TRANSOM_INLINE I even_bytes(I v) {
#if defined(__AVX512F__)
  return _mm512_and_si512(v, _mm512_set1_epi16(255));
#else
  return _mm256_and_si256(v, _mm256_set1_epi16(255));
#endif
}
TRANSOM_INLINE I odd_bytes(I v) { return shift_right(v, 8); }

// A group's activations: for the even and odd bytes of Group::first, then of Group::second; and what the lanes of a dot
// product with bytes of -1 would be (of all of them in quad order, of either half in pair order).
constexpr int kGroupChunks = 6;
static_assert(kGroupChunks * kChunk == kQ16Bytes * 32 * kGroupBlocks);
struct X16 {
  I v[4], minus_sum[2];
};
TRANSOM_INLINE X16 load_x(const std::byte* q, int64_t group) {
  const std::byte* p = q + group * kGroupChunks * kChunk;
  return {{load_i(p), load_i(p + kChunk), load_i(p + 2 * kChunk), load_i(p + 3 * kChunk)}, {load_i(p + 4 * kChunk), load_i(p + 5 * kChunk)}};
}
// The words of a group, and their dot products with activations: of both halves, or of one (0: first, 1: second).
struct Words {
  I v[4];
  TRANSOM_INLINE Words() {}
  TRANSOM_INLINE explicit Words(Group g) : v{even_bytes(g.first), odd_bytes(g.first), even_bytes(g.second), odd_bytes(g.second)} {}
};
TRANSOM_INLINE I dot_half(I start, const I* words, const I* x) { return dot_words(dot_words(start, words[0], x[0]), words[1], x[1]); }
TRANSOM_INLINE I dot_group(I start, const Words& w, const X16& x) { return dot_half(dot_half(start, w.v, x.v), w.v + 2, x.v + 2); }
constexpr int log2_of(int power) { return power <= 1 ? 0 : 1 + log2_of(power / 2); }
template <int kBias>
TRANSOM_INLINE I bias_start(I minus_sum) {  // -bias * sum
  static_assert(kBias == 0 || kBias == 1 << log2_of(kBias));
#if defined(__AVX512F__)
  return kBias ? _mm512_slli_epi32(minus_sum, log2_of(kBias)) : zero_i();
#else
  return kBias ? _mm256_slli_epi32(minus_sum, log2_of(kBias)) : zero_i();
#endif
}

struct XRow {
  const std::byte* q[2];  // by Order
  const float *d, *s32, *s16;
};
TRANSOM_INLINE XRow x_row(const LinearX& x, int64_t t) {
  const int64_t blocks = x.padded / 32, at = t * x.padded * kQ16Bytes;
  return {{x.q16[0] + at, x.q16[1] + at}, x.d + t * blocks, x.s32 + t * blocks, x.s16 + t * blocks * 2};
}
// Scales of pair order's halves: of blocks 0 and 2, or 1 and 3, of a group (with 32-byte vectors: of block 0, or 1).
TRANSOM_INLINE F pair_scales(const float* d, int half) {
#if defined(__AVX512F__)
  const I index = _mm512_add_epi32(_mm512_set_epi32(2, 2, 2, 2, 2, 2, 2, 2, 0, 0, 0, 0, 0, 0, 0, 0), set1_i32(half));
  return _mm512_permutexvar_ps(index, _mm512_castps128_ps512(_mm_loadu_ps(d)));
#else
  return set1(d[half]);
#endif
}

// How far ahead of the bytes being read to prefetch. Rows are read one after the other, as one stream: several streams of
// short rows side by side defeat the hardware's own prefetching, and cost a third of the speed.
constexpr int64_t kAhead = 2048;
TRANSOM_INLINE void prefetch(Bytes p, int bytes) {
  for (int line = 0; line < bytes; line += 64) _mm_prefetch(reinterpret_cast<const char*>(p + kAhead + line), _MM_HINT_T0);
}

// acc[r][t] of R weight rows and T activation rows; blocks of 32.
template <class Fmt, int R, int T>
TRANSOM_INLINE void dot_small(const Bytes (&w)[R], const XRow* x, int64_t blocks, F (&acc)[R][T]) {
  using Raw = typename Fmt::RawGroup;
  constexpr bool kQuad = Fmt::kOrder == Order::kQuad;
  const auto step = [&](int64_t b, const Raw (&raw)[R]) {
    Words q[R] = {};
    for (int r = 0; r < R; ++r) q[r] = Words(Fmt::quants(raw[r]));
    for (int t = 0; t < T; ++t) {
      const X16 xq = load_x(x[t].q[kQuad ? 0 : 1], b / kGroupBlocks);
      if constexpr (kQuad) {
        const F dx = per_block(x[t].d + b);
        const I start = bias_start<Fmt::kBias>(xq.minus_sum[0]);
        for (int r = 0; r < R; ++r) {
          acc[r][t] = fma(to_float(dot_group(start, q[r], xq)) * dx, Fmt::scale(raw[r]), acc[r][t]);
          if (Fmt::kMin) acc[r][t] = fnma(Fmt::min(raw[r]), to_float(xq.minus_sum[0]) * dx, acc[r][t]);
        }
      } else {
        for (int h = 0; h < 2; ++h) {
          const F dx = pair_scales(x[t].d + b, h);
          const I start = bias_start<Fmt::kBias>(xq.minus_sum[h]);
          for (int r = 0; r < R; ++r) acc[r][t] = fma(to_float(dot_half(start, q[r].v + 2 * h, xq.v + 2 * h)) * dx, Fmt::scale(raw[r], h), acc[r][t]);
        }
      }
    }
  };
  int64_t b = 0;
  for (; b + kGroupBlocks <= blocks; b += kGroupBlocks) {
    Bytes p[R];
    for (int r = 0; r < R; ++r) p[r] = w[r] + b * Fmt::kBytes;
    for (int r = 0; r < R; ++r) prefetch(p[r], kGroupBlocks * Fmt::kBytes);
    if constexpr (R == 1) step(b, {Raw(p[0])});
    else step(b, {Raw(p[0]), Raw(p[1])});
  }
  if (b >= blocks) return;
  const int64_t at = b * Fmt::kBytes;
  const int rest = static_cast<int>(blocks - b);
  if constexpr (R == 1) step(b, {Raw(w[0] + at, rest)});
  else step(b, {Raw(w[0] + at, rest), Raw(w[1] + at, rest)});
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
TRANSOM_INLINE void dot_super(const Bytes (&w)[R], const XRow* x, int64_t blocks, F (&acc)[R][T]) {
  constexpr bool kQuad = Fmt::kOrder == Order::kQuad;
  constexpr int kCount = Scales<Fmt>::kCount;
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
        const X16 xq = load_x(x[t].q[kQuad ? 0 : 1], (8 * b + g) / kGroupBlocks);
        for (int r = 0; r < R; ++r) {
          const Scales<Fmt> scales(s[r], x[t].d + 8 * b);
          if constexpr (kQuad) {
            acc[r][t] = fma(to_float(dot_group(zero_i(), q[r], xq)), scales.quad(g), acc[r][t]);
          } else {
            acc[r][t] = fma(to_float(dot_half(zero_i(), q[r].v, xq.v)), scales.pair(g), acc[r][t]);
            acc[r][t] = fma(to_float(dot_half(zero_i(), q[r].v + 2, xq.v + 2)), scales.pair(g + 1), acc[r][t]);
          }
        }
      }
    }
  }
}

// One activation row: a weight row at a time, as one stream of memory. More: two, which share what is loaded of the activations.
template <class Fmt, int T>
void dot_rows(Bytes w, int64_t row_bytes, int64_t count, const XRow* x, int64_t cols, float (&out)[T][kOutRows]) {
  constexpr int R = T > 1 && kWide ? 2 : 1;
  for (int64_t i = 0; i < count; i += 4) {
    F sums[4][T];
    for (int r = 0; r < 4; r += R) {
      F acc[R][T];
      Bytes row[R];
      for (int k = 0; k < R; ++k) {
        row[k] = w + smaller(i + r + k, count - 1) * row_bytes;
        for (F& a : acc[k]) a = zero();
      }
      if (i + r < count) {
        if constexpr (Fmt::kElements == 32) dot_small<Fmt>(row, x, cols / 32, acc);
        else dot_super<Fmt>(row, x, cols / 256, acc);
      }
      for (int k = 0; k < R; ++k)
        for (int t = 0; t < T; ++t) sums[r + k][t] = acc[k][t];
    }
    for (int t = 0; t < T; ++t) _mm_storeu_ps(out[t] + i, sum4(sums[0][t], sums[1][t], sums[2][t], sums[3][t]));
  }
}

template <class Fmt>
void gemv_format(const LinearTile& g) {
  const WeightView& w = *g.weight;
  for (int64_t n0 = g.n0; n0 < g.n1; n0 += kOutRows) {
    const int64_t count = smaller(kOutRows, g.n1 - n0);
    by_fours(g.t0, g.t1, [&](int64_t t0, auto rows) {
      constexpr int T = decltype(rows)::value;
      XRow x[T];
      for (int t = 0; t < T; ++t) x[t] = x_row(*g.x, t0 + t);
      float out[T][kOutRows];
      dot_rows<Fmt, T>(reinterpret_cast<Bytes>(w.data) + n0 * w.row_bytes, w.row_bytes, count, x, w.cols, out);
      for (int t = 0; t < T; ++t) finish_row(g.out, t0 + t, n0, count, out[t]);
    });
  }
}

// Thirty-two activations to 16-bit integers, d = largest / 32767, written as the orders want them: evens (elements 0, 2 …
// of the first half block), odds, and those of the second half.
struct Quantized {
  __m128i even[2], odd[2];
  float d, sums[2];
};
TRANSOM_INLINE __m256i words_of(const float* x, float inverse, float* sum) {  // 16 of them
  const __m256 scale = _mm256_set1_ps(inverse);
  const __m256i a = _mm256_cvtps_epi32(_mm256_loadu_ps(x) * scale), b = _mm256_cvtps_epi32(_mm256_loadu_ps(x + 8) * scale);
  __m256i total = _mm256_add_epi32(a, b);
  __m128i s = _mm_add_epi32(_mm256_castsi256_si128(total), _mm256_extracti128_si256(total, 1));
  s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
  *sum = static_cast<float>(_mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1))));
  return _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
}
Quantized quantize_block(const float* x) {
  F top = zero();
  for (int i = 0; i < 32; i += kLanes) top = max(top, abs(loadu(x + i)));
  const float most = largest(top);
  Quantized q;
  q.d = most * (1.f / 32767);
  const float inverse = most > 0 ? 32767 / most : 0.f;
  const __m256i apart = _mm256_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15, 0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6,
                                         7, 10, 11, 14, 15);
  for (int h = 0; h < 2; ++h) {
    const __m256i w = _mm256_permute4x64_epi64(_mm256_shuffle_epi8(words_of(x + 16 * h, inverse, q.sums + h), apart), 0xd8);
    q.even[h] = _mm256_castsi256_si128(w);
    q.odd[h] = _mm256_extracti128_si256(w, 1);
    q.sums[h] *= q.d;
  }
  return q;
}

template <int kCount>
void put_minus_sum(const std::byte* words, std::byte* sum) {
  I total = zero_i();
  for (int i = 0; i < kCount; ++i) total = dot_words(total, load_i(words + i * kChunk), set1_i8(-1));
  store_i(sum, total);
}

void quantize_row(const LinearX& x, const ConstView& v, int64_t t) {
  const In in = in_row(v, t);
  const int64_t blocks = x.padded / 32;
  const auto put = [](std::byte* p, __m128i w) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), w); };
  for (int64_t b = 0; b < blocks; ++b) {
    float f[32];
    for (int64_t i = 0; i < 32; i += kLanes) {
      const int64_t n = smaller(kLanes, x.cols - 32 * b - i);
      storeu(f + i, n > 0 ? load(in, 32 * b + i, n) : zero());
    }
    const Quantized q = quantize_block(f);
    x.d[t * blocks + b] = q.d;
    x.s32[t * blocks + b] = q.sums[0] + q.sums[1];
    x.s16[2 * (t * blocks + b)] = q.sums[0];
    x.s16[2 * (t * blocks + b) + 1] = q.sums[1];
    const int64_t group = t * x.padded * kQ16Bytes + b / kGroupBlocks * kGroupChunks * kChunk, i = b % kGroupBlocks;
    if (std::byte* p = x.q16[0]) {
      p += group + 16 * i;
      for (int h = 0; h < 2; ++h) put(p + 2 * h * kChunk, q.even[h]), put(p + (2 * h + 1) * kChunk, q.odd[h]);
    }
    if (std::byte* p = x.q16[1]) {
      p += group + i % 2 * 2 * kChunk + i / 2 * 32;
      for (int h = 0; h < 2; ++h) put(p + 16 * h, q.even[h]), put(p + kChunk + 16 * h, q.odd[h]);
    }
  }
  for (int64_t g = 0; g < blocks / kGroupBlocks; ++g) {
    const int64_t at = (t * blocks + g * kGroupBlocks) * 32 * kQ16Bytes;
    if (std::byte* p = x.q16[0]) put_minus_sum<4>(p + at, p + at + 4 * kChunk);
    if (std::byte* p = x.q16[1])
      for (int h = 0; h < 2; ++h) put_minus_sum<2>(p + at + 2 * h * kChunk, p + at + (4 + h) * kChunk);
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
