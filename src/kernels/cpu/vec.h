// The vector of the instruction set that a file is compiled for: F is a vector of kLanes floats, I one of kChunk bytes.
// Everything here has internal linkage, because the same header is compiled for several instruction sets.
#pragma once

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "kernels/cpu/primitives.h"

namespace transom::cpu::TRANSOM_ISA {
namespace {

#define TRANSOM_INLINE [[gnu::always_inline]] inline

#if defined(__AVX512F__)
constexpr bool kWide = true;
constexpr int kLanes = 16, kChunk = 64;
using F = __m512;
using I = __m512i;
using HalfI = __m256i;  // kLanes 16-bit elements

TRANSOM_INLINE __mmask16 first(int64_t n) { return static_cast<__mmask16>((1u << n) - 1); }
TRANSOM_INLINE F zero() { return _mm512_setzero_ps(); }
TRANSOM_INLINE F set1(float x) { return _mm512_set1_ps(x); }
TRANSOM_INLINE F loadu(const float* p) { return _mm512_loadu_ps(p); }
TRANSOM_INLINE void storeu(float* p, F v) { _mm512_storeu_ps(p, v); }
TRANSOM_INLINE F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
TRANSOM_INLINE F fnma(F a, F b, F c) { return _mm512_fnmadd_ps(a, b, c); }
TRANSOM_INLINE F max(F a, F b) { return _mm512_max_ps(a, b); }
TRANSOM_INLINE F min(F a, F b) { return _mm512_min_ps(a, b); }
TRANSOM_INLINE F round_even(F a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
TRANSOM_INLINE F abs(F a) { return _mm512_abs_ps(a); }
TRANSOM_INLINE F scale2(F a, F n) { return _mm512_scalef_ps(a, n); }  // a * 2^n for integral n
TRANSOM_INLINE F select_negative(F x, F if_negative, F otherwise) {
  return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(x, zero(), _CMP_LT_OQ), otherwise, if_negative);
}
TRANSOM_INLINE F to_float(I v) { return _mm512_cvtepi32_ps(v); }
TRANSOM_INLINE I to_int(F v) { return _mm512_cvtps_epi32(v); }  // to nearest even
TRANSOM_INLINE HalfI load_half(const uint16_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
TRANSOM_INLINE F from_bf16(HalfI h) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16)); }
TRANSOM_INLINE F from_f16(HalfI h) { return _mm512_cvtph_ps(h); }
TRANSOM_INLINE HalfI to_f16(F v) { return _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
#if defined(__AVX512BF16__)
TRANSOM_INLINE HalfI to_bf16(F v) {  // to nearest even; denormals become zero
  const __m256bh h = _mm512_cvtneps_pbh(v);
  HalfI i;
  memcpy(&i, &h, sizeof i);
  return i;
}
#else
TRANSOM_INLINE HalfI to_bf16(F v) {  // to nearest even; NaN stays NaN, quiet
  const I x = _mm512_castps_si512(v);
  const I odd = _mm512_and_si512(_mm512_srli_epi32(x, 16), _mm512_set1_epi32(1));
  const I rounded = _mm512_add_epi32(x, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
  const I quiet = _mm512_or_si512(x, _mm512_set1_epi32(0x400000));
  const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
  return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_mask_blend_epi32(nan, rounded, quiet), 16));
}
#endif
// The first n (1 .. kLanes) elements; the others are zero.
TRANSOM_INLINE F load_part(const float* p, int64_t n) { return _mm512_maskz_loadu_ps(first(n), p); }
TRANSOM_INLINE HalfI load_half_part(const uint16_t* p, int64_t n) { return _mm256_maskz_loadu_epi16(first(n), p); }
TRANSOM_INLINE void store_part(float* p, F v, int64_t n) { _mm512_mask_storeu_ps(p, first(n), v); }
// A vector whose lanes from n on are zero, for sums over the end of a row.
TRANSOM_INLINE F keep(F v, int64_t n) { return _mm512_maskz_mov_ps(first(n), v); }
TRANSOM_INLINE void store_half_part(uint16_t* p, HalfI v, int64_t n) { _mm256_mask_storeu_epi16(p, first(n), v); }
TRANSOM_INLINE void store_half(uint16_t* p, HalfI v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
TRANSOM_INLINE __m256 fold(F v) {
  return _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
}
TRANSOM_INLINE I load_i(const void* p) { return _mm512_loadu_si512(p); }
TRANSOM_INLINE void store_i(void* p, I v) { _mm512_storeu_si512(p, v); }
TRANSOM_INLINE I zero_i() { return _mm512_setzero_si512(); }
TRANSOM_INLINE I set1_i8(int x) { return _mm512_set1_epi8(static_cast<char>(x)); }
TRANSOM_INLINE I set1_i32(int x) { return _mm512_set1_epi32(x); }
TRANSOM_INLINE I sub_i32(I a, I b) { return _mm512_sub_epi32(a, b); }
// acc + the products of unsigned and signed bytes, summed by fours.
TRANSOM_INLINE I dot_u8(I acc, I u, I s) { return _mm512_dpbusd_epi32(acc, u, s); }

#else
constexpr bool kWide = false;
constexpr int kLanes = 8, kChunk = 32;
using F = __m256;
using I = __m256i;
using HalfI = __m128i;

TRANSOM_INLINE F zero() { return _mm256_setzero_ps(); }
TRANSOM_INLINE F set1(float x) { return _mm256_set1_ps(x); }
TRANSOM_INLINE F loadu(const float* p) { return _mm256_loadu_ps(p); }
TRANSOM_INLINE void storeu(float* p, F v) { _mm256_storeu_ps(p, v); }
TRANSOM_INLINE F fma(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
TRANSOM_INLINE F fnma(F a, F b, F c) { return _mm256_fnmadd_ps(a, b, c); }
TRANSOM_INLINE F max(F a, F b) { return _mm256_max_ps(a, b); }
TRANSOM_INLINE F min(F a, F b) { return _mm256_min_ps(a, b); }
TRANSOM_INLINE F round_even(F a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
TRANSOM_INLINE F abs(F a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.f), a); }
TRANSOM_INLINE F scale2(F a, F n) {  // a * 2^n for integral n, in two steps so that denormal results come out right
  const F bounded = max(min(n, set1(254.f)), set1(-252.f));
  const __m256i whole = _mm256_cvtps_epi32(bounded), half = _mm256_srai_epi32(whole, 1), rest = _mm256_sub_epi32(whole, half);
  const __m256i bias = _mm256_set1_epi32(127);
  const F f = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(half, bias), 23));
  const F g = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23));
  return a * f * g;
}
TRANSOM_INLINE F select_negative(F x, F if_negative, F otherwise) {
  return _mm256_blendv_ps(otherwise, if_negative, _mm256_cmp_ps(x, zero(), _CMP_LT_OQ));
}
TRANSOM_INLINE F to_float(I v) { return _mm256_cvtepi32_ps(v); }
TRANSOM_INLINE I to_int(F v) { return _mm256_cvtps_epi32(v); }
TRANSOM_INLINE HalfI load_half(const uint16_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
TRANSOM_INLINE F from_bf16(HalfI h) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16)); }
TRANSOM_INLINE F from_f16(HalfI h) { return _mm256_cvtph_ps(h); }
TRANSOM_INLINE HalfI to_f16(F v) { return _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
TRANSOM_INLINE HalfI to_bf16(F v) {
  const I x = _mm256_castps_si256(v);
  const I odd = _mm256_and_si256(_mm256_srli_epi32(x, 16), _mm256_set1_epi32(1));
  const I rounded = _mm256_add_epi32(x, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
  const I quiet = _mm256_or_si256(x, _mm256_set1_epi32(0x400000));
  const I nan = _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q));
  const I bits = _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
  return _mm_packus_epi32(_mm256_castsi256_si128(bits), _mm256_extracti128_si256(bits, 1));
}
TRANSOM_INLINE F load_part(const float* p, int64_t n) {
  float t[8] = {};
  memcpy(t, p, sizeof(float) * n);  // p may be misaligned
  return loadu(t);
}
TRANSOM_INLINE F keep(F v, int64_t n) {
  if (n == kLanes) return v;
  float t[kLanes];
  storeu(t, v);
  return load_part(t, n);
}
TRANSOM_INLINE HalfI load_half_part(const uint16_t* p, int64_t n) {
  uint16_t t[8] = {};
  for (int64_t i = 0; i < n; ++i) memcpy(t + i, p + i, 2);
  return load_half(t);
}
TRANSOM_INLINE void store_part(float* p, F v, int64_t n) {
  float t[8];
  storeu(t, v);
  for (int64_t i = 0; i < n; ++i) p[i] = t[i];
}
TRANSOM_INLINE void store_half(uint16_t* p, HalfI v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v); }
TRANSOM_INLINE void store_half_part(uint16_t* p, HalfI v, int64_t n) {
  uint16_t t[8];
  store_half(t, v);
  for (int64_t i = 0; i < n; ++i) memcpy(p + i, t + i, 2);
}
TRANSOM_INLINE __m256 fold(F v) { return v; }
TRANSOM_INLINE I load_i(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
TRANSOM_INLINE void store_i(void* p, I v) { _mm256_storeu_si256(static_cast<__m256i*>(p), v); }
TRANSOM_INLINE I zero_i() { return _mm256_setzero_si256(); }
TRANSOM_INLINE I set1_i8(int x) { return _mm256_set1_epi8(static_cast<char>(x)); }
TRANSOM_INLINE I set1_i32(int x) { return _mm256_set1_epi32(x); }
TRANSOM_INLINE I sub_i32(I a, I b) { return _mm256_sub_epi32(a, b); }
TRANSOM_INLINE I dot_u8(I acc, I u, I s) {  // u < 128, so that no pair of products exceeds 16 bits
  return _mm256_add_epi32(acc, _mm256_madd_epi16(_mm256_maddubs_epi16(u, s), _mm256_set1_epi16(1)));
}
#endif

// The sums of four vectors, each in one fixed order: halves folded down to four lanes, then (0 + 1) + (2 + 3).
TRANSOM_INLINE __m128 sum4(F a, F b, F c, F d) {
  const auto quarter = [](F v) {
    const __m256 w = fold(v);
    return _mm_add_ps(_mm256_castps256_ps128(w), _mm256_extractf128_ps(w, 1));
  };
  return _mm_hadd_ps(_mm_hadd_ps(quarter(a), quarter(b)), _mm_hadd_ps(quarter(c), quarter(d)));
}
// The sums of kLanes vectors.
TRANSOM_INLINE F sum_each(const F (&v)[kLanes]) {
#if defined(__AVX512F__)
  F a[8], b[4];
  for (int i = 0; i < 8; ++i) a[i] = _mm512_unpacklo_ps(v[2 * i], v[2 * i + 1]) + _mm512_unpackhi_ps(v[2 * i], v[2 * i + 1]);
  for (int i = 0; i < 4; ++i) {
    const __m512d x = _mm512_castps_pd(a[2 * i]), y = _mm512_castps_pd(a[2 * i + 1]);
    b[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(x, y)) + _mm512_castpd_ps(_mm512_unpackhi_pd(x, y));
  }
  // b[i] holds, in each quarter, that quarter's sums of v[4 i] .. v[4 i + 3].
  const F c = _mm512_shuffle_f32x4(b[0], b[1], 0x44) + _mm512_shuffle_f32x4(b[0], b[1], 0xee);
  const F d = _mm512_shuffle_f32x4(b[2], b[3], 0x44) + _mm512_shuffle_f32x4(b[2], b[3], 0xee);
  return _mm512_shuffle_f32x4(c, d, 0x88) + _mm512_shuffle_f32x4(c, d, 0xdd);
#else
  return _mm256_set_m128(sum4(v[4], v[5], v[6], v[7]), sum4(v[0], v[1], v[2], v[3]));
#endif
}
#if defined(__AVX512BF16__)
// acc + the products of pairs of bfloat16, both added in float; denormals are taken as zero.
TRANSOM_INLINE F dot_pairs(F acc, I a, I b) {
  __m512bh x, y;
  memcpy(&x, &a, sizeof x);
  memcpy(&y, &b, sizeof y);
  return _mm512_dpbf16_ps(acc, x, y);
}
#endif
TRANSOM_INLINE float sum(F a) { return _mm_cvtss_f32(sum4(a, a, a, a)); }
TRANSOM_INLINE float largest(F v) {
#if defined(__AVX512F__)
  const __m256 w = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
#else
  const __m256 w = v;
#endif
  __m128 x = _mm_max_ps(_mm256_castps256_ps128(w), _mm256_extractf128_ps(w, 1));
  x = _mm_max_ps(x, _mm_movehl_ps(x, x));
  return _mm_cvtss_f32(_mm_max_ss(x, _mm_shuffle_ps(x, x, 1)));
}

TRANSOM_INLINE int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
TRANSOM_INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
TRANSOM_INLINE float f16_scalar(const void* p) {
  uint16_t h;
  memcpy(&h, p, 2);
  return _cvtsh_ss(h);
}
TRANSOM_INLINE float bf16_scalar(const void* p) {
  uint16_t h;
  memcpy(&h, p, 2);
  const uint32_t u = static_cast<uint32_t>(h) << 16;
  float f;
  memcpy(&f, &u, 4);
  return f;
}

// A row of activations of any type, read and written as float, n (<= kLanes) elements from element i.
struct In {
  const void* p;
  DType type;
};
struct Out {
  void* p;
  DType type;
};
TRANSOM_INLINE const void* row_at(const void* data, DType t, int64_t stride, int64_t r) {
  return static_cast<const char*>(data) + r * stride * (t == DType::kF32 ? 4 : 2);
}
TRANSOM_INLINE In in_row(const ConstView& v, int64_t r) { return {row_at(v.data, v.dtype, v.stride, r), v.dtype}; }
TRANSOM_INLINE In in_row(const View& v, int64_t r) { return {row_at(v.data, v.dtype, v.stride, r), v.dtype}; }
TRANSOM_INLINE Out out_row(const View& v, int64_t r) {
  return {const_cast<void*>(row_at(v.data, v.dtype, v.stride, r)), v.dtype};
}
TRANSOM_INLINE F load(In s, int64_t i, int64_t n = kLanes) {
  if (s.type == DType::kF32) {
    const float* p = static_cast<const float*>(s.p) + i;
    return n == kLanes ? loadu(p) : load_part(p, n);
  }
  const uint16_t* p = static_cast<const uint16_t*>(s.p) + i;
  const HalfI h = n == kLanes ? load_half(p) : load_half_part(p, n);
  return s.type == DType::kBF16 ? from_bf16(h) : from_f16(h);
}
TRANSOM_INLINE void store(Out d, int64_t i, F v, int64_t n = kLanes) {
  if (d.type == DType::kF32) {
    float* p = static_cast<float*>(d.p) + i;
    n == kLanes ? storeu(p, v) : store_part(p, v, n);
    return;
  }
  uint16_t* p = static_cast<uint16_t*>(d.p) + i;
  const HalfI h = d.type == DType::kBF16 ? to_bf16(v) : to_f16(v);
  n == kLanes ? store_half(p, h) : store_half_part(p, h, n);
}

}  // namespace
}  // namespace transom::cpu::TRANSOM_ISA
