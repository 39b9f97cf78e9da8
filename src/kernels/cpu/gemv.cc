// Few activation rows times a weight as stored: each weight row is read once per four of them, unpacked in registers and
// multiplied with 16-bit activations in exact integer sums of a block, which are scaled and added in float:
//   y = Σ_blocks d_w d_x (Σ q_w q_x) + min_w d_x Σ q_x.
// An activation row's sum has one order, whatever rows are computed beside it.
#include "kernels/cpu/finish.h"
#include "kernels/cpu/formats.h"
#include "kernels/cpu/isa.h"

namespace transom::cpu::TRANSOM_ISA {
namespace {

// 16-bit activations of one chunk, ordered for the dot product.
#if defined(__AVX512F__)
struct X16 {  // q = 256 * high + low, both signed bytes in natural order
  I high, low;
};
TRANSOM_INLINE I dot16(I start, I u, X16 x) {
  const I h = dot_u8(zero_i(), u, x.high), l = dot_u8(start, u, x.low);
  return _mm512_add_epi32(_mm512_slli_epi32(h, 8), l);
}
#else
struct X16 {  // elements 0-7 and 16-23, then 8-15 and 24-31: as unpacking bytes within 128-bit halves orders them
  I high, low;
};
TRANSOM_INLINE I dot16(I start, I u, X16 x) {
  const I a = _mm256_madd_epi16(_mm256_unpacklo_epi8(u, zero_i()), x.high);
  const I b = _mm256_madd_epi16(_mm256_unpackhi_epi8(u, zero_i()), x.low);
  return _mm256_add_epi32(start, _mm256_add_epi32(a, b));
}
#endif
TRANSOM_INLINE X16 load_x(const std::byte* q, int64_t chunk) {
  const std::byte* p = q + chunk * 2 * kChunk;
  return {load_i(p), load_i(p + kChunk)};
}

struct XRow {
  const std::byte* q;
  const float *d, *s32, *s16;
};
TRANSOM_INLINE XRow x_row(const LinearX& x, int64_t t) {
  const int64_t blocks = x.padded / 32;
  return {x.q16 + t * x.padded * 2, x.d + t * blocks, x.s32 + t * blocks, x.s16 + t * blocks * 2};
}

// Weight rows whose dot products run side by side, so that latencies hide and activations are loaded once.
template <int T>
constexpr int kRowsAtOnce = kWide ? (T <= 2 ? 4 : 2) : (T == 1 ? 4 : T == 2 ? 2 : 1);

// sums[t][r]: R rows from w on, T activation rows; blocks of 32.
template <class Fmt, int R, int T>
TRANSOM_INLINE void dot_small(Bytes w, int64_t row_bytes, const XRow* x, int64_t blocks, F (&acc)[R][T]) {
  constexpr int kPer = kChunk / 32;
  for (int r = 0; r < R; ++r)
    for (int t = 0; t < T; ++t) acc[r][t] = zero();
  const auto step = [&](int64_t b, int64_t second) {
    X16 xq[T];
    I start[T];
    F dx[T], xsum[T];
    for (int t = 0; t < T; ++t) {
      xq[t] = load_x(x[t].q, b / kPer);
      dx[t] = block_scales(x[t].d + b);
      start[t] = Fmt::kBias ? sub_i32(zero_i(), dot16(zero_i(), set1_i8(Fmt::kBias), xq[t])) : zero_i();
      if (Fmt::kMin) xsum[t] = to_float(dot16(zero_i(), set1_i8(1), xq[t]));
    }
    for (int r = 0; r < R; ++r) {
      const Bytes a = w + r * row_bytes + b * Fmt::kBytes, c = a + second;
      _mm_prefetch(reinterpret_cast<const char*>(a + R * row_bytes), _MM_HINT_T0);
      const I q = Fmt::quants(a, c);
      const F scale = Fmt::scale(a, c), min = Fmt::min(a, c);
      for (int t = 0; t < T; ++t) {
        F v = to_float(dot16(start[t], q, xq[t])) * scale;
        if (Fmt::kMin) v = fma(min, xsum[t], v);
        acc[r][t] = fma(v, dx[t], acc[r][t]);
      }
    }
  };
  int64_t b = 0;
  for (; b + kPer <= blocks; b += kPer) step(b, (kPer - 1) * Fmt::kBytes);
  if (b < blocks) step(b, 0);
}

// The scale of each lane of the chunk that starts with the g-th 32 elements, from a block's group scales.
template <int kGroup>
struct GroupScales;
template <>
struct GroupScales<32> {
  __m256 s;
  static constexpr int kCount = 8;
  TRANSOM_INLINE GroupScales(const float* groups, const float* dx) : s(_mm256_loadu_ps(groups) * _mm256_loadu_ps(dx)) {}
#if defined(__AVX512F__)
  TRANSOM_INLINE F at(int g) const {
    const I lane = _mm512_set_epi32(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0);
    return _mm512_permutexvar_ps(_mm512_add_epi32(lane, set1_i32(g)), _mm512_castps256_ps512(s));
  }
  TRANSOM_INLINE static F fma_sums(const float* m, const float* sums, F acc) {
    return fma(_mm512_maskz_loadu_ps(0xff, m), _mm512_maskz_loadu_ps(0xff, sums), acc);
  }
#else
  TRANSOM_INLINE F at(int g) const { return _mm256_permutevar8x32_ps(s, set1_i32(g)); }
  TRANSOM_INLINE static F fma_sums(const float* m, const float* sums, F acc) { return fma(loadu(m), loadu(sums), acc); }
#endif
};
template <>
struct GroupScales<16> {
  static constexpr int kCount = 16;
#if defined(__AVX512F__)
  F s;
  TRANSOM_INLINE GroupScales(const float* groups, const float* dx) {
    const I twice = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
    s = loadu(groups) * _mm512_permutexvar_ps(twice, _mm512_castps256_ps512(_mm256_loadu_ps(dx)));
  }
  TRANSOM_INLINE F at(int g) const {
    const I lane = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
    return _mm512_permutexvar_ps(_mm512_add_epi32(lane, set1_i32(2 * g)), s);
  }
  TRANSOM_INLINE static F fma_sums(const float* m, const float* sums, F acc) { return fma(loadu(m), loadu(sums), acc); }
#else
  F s[2];
  TRANSOM_INLINE GroupScales(const float* groups, const float* dx) {
    const F d = loadu(dx);
    s[0] = loadu(groups) * _mm256_permutevar8x32_ps(d, _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3));
    s[1] = loadu(groups + 8) * _mm256_permutevar8x32_ps(d, _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7));
  }
  TRANSOM_INLINE F at(int g) const {
    const I lane = _mm256_setr_epi32(0, 0, 0, 0, 1, 1, 1, 1);
    return _mm256_permutevar8x32_ps(s[g / 4], _mm256_add_epi32(lane, set1_i32(2 * (g % 4))));
  }
  TRANSOM_INLINE static F fma_sums(const float* m, const float* sums, F acc) {
    return fma(loadu(m + 8), loadu(sums + 8), fma(loadu(m), loadu(sums), acc));
  }
#endif
};

// Likewise for blocks of 256. A bias is a minimum of -bias * scale.
template <class Fmt, int R, int T>
TRANSOM_INLINE void dot_super(Bytes w, int64_t row_bytes, const XRow* x, int64_t blocks, F (&acc)[R][T]) {
  using Scales = GroupScales<Fmt::kGroup>;
  constexpr int kPer = kChunk / 32;
  for (int r = 0; r < R; ++r)
    for (int t = 0; t < T; ++t) acc[r][t] = zero();
  for (int64_t b = 0; b < blocks; ++b)
    for (int r = 0; r < R; ++r) {
      const Bytes p = w + r * row_bytes + b * Fmt::kBytes;
      for (int line = 0; line < Fmt::kBytes; line += 64)
        _mm_prefetch(reinterpret_cast<const char*>(p + R * row_bytes + line), _MM_HINT_T0);
      alignas(64) float s[16], m[16];
      Fmt::scales(p, s, m);
      if (!Fmt::kMin)
        for (int i = 0; i < Scales::kCount; i += 8)
          store8(m + i, _mm256_loadu_ps(s + i) * _mm256_set1_ps(-static_cast<float>(Fmt::kBias)));
      for (int t = 0; t < T; ++t) {
        const float* sums = Fmt::kGroup == 32 ? x[t].s32 + 8 * b : x[t].s16 + 16 * b;
        acc[r][t] = Scales::fma_sums(m, sums, acc[r][t]);
      }
      I q[8 / kPer];
      for (int g = 0; g < 8; g += kPer) q[g / kPer] = Fmt::quants(p, g);
      for (int t = 0; t < T; ++t) {
        const Scales scales(s, x[t].d + 8 * b);
        for (int g = 0; g < 8; g += kPer) {
          const F v = to_float(dot16(zero_i(), q[g / kPer], load_x(x[t].q, (8 * b + g) / kPer)));
          acc[r][t] = fma(v, scales.at(g), acc[r][t]);
        }
      }
    }
}

template <class Fmt, int R, int T>
void dot_rows(const WeightView& w, int64_t n, const XRow* x, float (&out)[T][kOutRows], int64_t at) {
  F acc[R][T];
  const Bytes p = reinterpret_cast<Bytes>(w.data) + n * w.row_bytes;
  if constexpr (Fmt::kElements == 32)
    dot_small<Fmt, R, T>(p, w.row_bytes, x, w.cols / 32, acc);
  else
    dot_super<Fmt, R, T>(p, w.row_bytes, x, w.cols / 256, acc);
  for (int t = 0; t < T; ++t)
    for (int r = 0; r < R; r += 4) {
      const auto get = [&](int i) { return acc[r + i < R ? r + i : r][t]; };
      float four[4];
      _mm_storeu_ps(four, sum4(get(0), get(1), get(2), get(3)));
      for (int i = 0; i < 4 && r + i < R; ++i) out[t][at + r + i] = four[i];
    }
}

template <class Fmt>
void gemv_format(const LinearTile& g) {
  for (int64_t n0 = g.n0; n0 < g.n1; n0 += kOutRows) {
    const int64_t count = smaller(kOutRows, g.n1 - n0);
    by_fours(g.t0, g.t1, [&](int64_t t0, auto rows) {
      constexpr int T = decltype(rows)::value, R = kRowsAtOnce<T>;
      XRow x[T];
      for (int t = 0; t < T; ++t) x[t] = x_row(*g.x, t0 + t);
      float out[T][kOutRows];
      int64_t i = 0;
      for (; i + R <= count; i += R) dot_rows<Fmt, R, T>(*g.weight, n0 + i, x, out, i);
      for (; i < count; ++i) dot_rows<Fmt, 1, T>(*g.weight, n0 + i, x, out, i);
      for (int t = 0; t < T; ++t) finish_row(g.out, t0 + t, n0, count, out[t]);
    });
  }
}

// Thirty-two activations to 16-bit integers: d = largest / 32512, which keeps both bytes within a signed byte.
void quantize_block(const float* x, std::byte* chunk, int64_t at, float* d, float* s32, float* s16) {
  constexpr int kVectors = 32 / kLanes;
  F v[kVectors], top = zero();
  for (int i = 0; i < kVectors; ++i) top = max(top, abs(v[i] = loadu(x + i * kLanes)));
  const float most = largest(top);
  *d = most * (1.f / 32512);
  const float inverse = most > 0 ? 32512 / most : 0.f;
  alignas(64) int32_t q[32];
  int32_t sums[2] = {0, 0};
  for (int i = 0; i < kVectors; ++i) {
#if defined(__AVX512F__)
    store_i(q + i * kLanes, _mm512_cvtps_epi32(v[i] * set1(inverse)));
#else
    store_i(q + i * kLanes, _mm256_cvtps_epi32(v[i] * set1(inverse)));
#endif
  }
  for (int i = 0; i < 32; ++i) sums[i / 16] += q[i];
  s16[0] = *d * static_cast<float>(sums[0]);
  s16[1] = *d * static_cast<float>(sums[1]);
  *s32 = *d * static_cast<float>(sums[0] + sums[1]);
#if defined(__AVX512F__)
  for (int i = 0; i < 2; ++i) {
    const I whole = load_i(q + 16 * i), high = _mm512_srai_epi32(_mm512_add_epi32(whole, set1_i32(128)), 8);
    std::byte* p = chunk + at + 16 * i;
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(high));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p + 64), _mm512_cvtepi32_epi8(_mm512_sub_epi32(whole, _mm512_slli_epi32(high, 8))));
  }
#else
  const auto pack = [&](int i) { return _mm256_permute4x64_epi64(_mm256_packs_epi32(load_i(q + i), load_i(q + i + 8)), 0xd8); };
  const I a = pack(0), b = pack(16);  // 0-15, 16-31
  store_i(chunk + 2 * at, _mm256_permute2x128_si256(a, b, 0x20));
  store_i(chunk + 2 * at + 32, _mm256_permute2x128_si256(a, b, 0x31));
#endif
}

void quantize_row(const LinearX& x, const ConstView& v, int64_t t) {
  const XRow out = x_row(x, t);
  const In in = in_row(v, t);
  for (int64_t c = 0; c < x.padded; c += 64) {
    float f[64];
    for (int64_t i = 0; i < 64; i += kLanes) {
      const int64_t n = smaller(kLanes, x.cols - c - i);
      storeu(f + i, n > 0 ? load(in, c + i, n) : zero());
    }
    for (int64_t i = 0; i < 2; ++i) {
      const int64_t b = c / 32 + i;
      std::byte* q = const_cast<std::byte*>(out.q) + c * 2;
      quantize_block(f + 32 * i, q, 32 * i, const_cast<float*>(out.d) + b, const_cast<float*>(out.s32) + b,
                     const_cast<float*>(out.s16) + 2 * b);
    }
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
  if (x.bf16) fill({x.bf16 + t * x.padded, DType::kBF16});
  if (x.q16) quantize_row(x, v, t);
}

Form gemv_form(DType t) { return with_format(t, [](auto) {}) ? Form::kQ16 : Form::kF32; }

void gemv(const LinearTile& g) {
  if (!with_format(g.weight->dtype, [&](auto f) { gemv_format<decltype(f)>(g); })) gemv_float(g);
}

}  // namespace transom::cpu::TRANSOM_ISA
