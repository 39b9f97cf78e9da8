// Block-quantized formats as stored, for dot products: a chunk (kChunk elements, in natural order) becomes unsigned bytes,
// and value = scale[group] * (byte - kBias) + min[group]. Block layouts: ggml's block structs, explained in
// tensor/quant_basic.cc, quant_k.cc and quant_iq.cc.
//
// Two kinds. A block of 32 has one scale; a chunk is one block, or two with 64-byte vectors: pointers a and b are theirs
// (b = a when a row's last block stands alone; its activations are zeros). A block of 256 has 8 or 16 groups.
#pragma once

#include "kernels/cpu/vec.h"

namespace transom::cpu::TRANSOM_ISA {
namespace {

using Bytes = const uint8_t*;

TRANSOM_INLINE __m128i load16(Bytes p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
TRANSOM_INLINE __m256i load32(Bytes p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
template <class T>
TRANSOM_INLINE T load_as(Bytes p) {
  T v;
  memcpy(&v, p, sizeof v);
  return v;
}

#if defined(__AVX512F__)
TRANSOM_INLINE I and_(I a, int mask) { return _mm512_and_si512(a, set1_i8(mask)); }
TRANSOM_INLINE I or_(I a, I b) { return _mm512_or_si512(a, b); }
TRANSOM_INLINE I shift_left(I a, int n) { return _mm512_slli_epi16(a, n); }  // the caller masks what crosses a byte
TRANSOM_INLINE I shift_right(I a, int n) { return _mm512_srli_epi16(a, n); }
TRANSOM_INLINE I flip_sign(I v) { return _mm512_xor_si512(v, set1_i8(-128)); }
TRANSOM_INLINE I look_up(__m128i table, I index) { return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), index); }
TRANSOM_INLINE I join(__m256i a, __m256i b) { return _mm512_inserti64x4(_mm512_castsi256_si512(a), b, 1); }
// Two blocks of 16 bytes: low nibbles of a, high nibbles of a, low ones of b, high ones of b.
TRANSOM_INLINE I nibbles(Bytes a, Bytes b) {
  I v = _mm512_broadcast_i32x4(load16(a));
  v = _mm512_mask_broadcast_i32x4(v, 0xff00, load16(b));
  return and_(_mm512_srlv_epi64(v, _mm512_set_epi64(4, 4, 0, 0, 4, 4, 0, 0)), 15);
}
TRANSOM_INLINE I bytes32(Bytes a, Bytes b) { return join(load32(a), load32(b)); }
// `value` where a bit of the two 32-bit words is set.
TRANSOM_INLINE I bits32(Bytes a, Bytes b, int value) {
  const __mmask64 m = static_cast<uint64_t>(load_as<uint32_t>(b)) << 32 | load_as<uint32_t>(a);
  return _mm512_maskz_mov_epi8(m, set1_i8(value));
}
// 32 bytes twice, shifted right by `shift` and by `shift + step`, masked.
TRANSOM_INLINE I fields(Bytes p, int shift, int step, int mask) {
  const I counts = join(_mm256_set1_epi64x(shift), _mm256_set1_epi64x(shift + step));
  return and_(_mm512_srlv_epi64(_mm512_broadcast_i64x4(load32(p)), counts), mask);
}
// `value` where bit `bit` of 32 bytes is set, then where bit + 1 is.
TRANSOM_INLINE I bit_of(Bytes p, int bit, int value) {
  const I mask = join(_mm256_set1_epi8(static_cast<char>(1 << bit)), _mm256_set1_epi8(static_cast<char>(2 << bit)));
  return _mm512_maskz_mov_epi8(_mm512_test_epi8_mask(_mm512_broadcast_i64x4(load32(p)), mask), set1_i8(value));
}
// A half-precision number of each block, on the block's lanes.
TRANSOM_INLINE F halves(Bytes a, Bytes b) {
  const __m256i lower = _mm256_set1_epi16(load_as<int16_t>(a));
  return _mm512_cvtph_ps(_mm256_mask_set1_epi16(lower, 0xff00, load_as<int16_t>(b)));
}
TRANSOM_INLINE F per_block(float a, float b) { return _mm512_mask_broadcastss_ps(set1(a), 0xff00, _mm_set_ss(b)); }
// Two scales of activation blocks, likewise.
TRANSOM_INLINE F block_scales(const float* d) {
  const I index = _mm512_set_epi32(1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0);
  const __m128 two = _mm_castpd_ps(_mm_load_sd(reinterpret_cast<const double*>(d)));
  return _mm512_permutexvar_ps(index, _mm512_castps128_ps512(two));
}
#else
TRANSOM_INLINE I and_(I a, int mask) { return _mm256_and_si256(a, set1_i8(mask)); }
TRANSOM_INLINE I or_(I a, I b) { return _mm256_or_si256(a, b); }
TRANSOM_INLINE I shift_left(I a, int n) { return _mm256_slli_epi16(a, n); }
TRANSOM_INLINE I shift_right(I a, int n) { return _mm256_srli_epi16(a, n); }
TRANSOM_INLINE I flip_sign(I v) { return _mm256_xor_si256(v, set1_i8(-128)); }
TRANSOM_INLINE I look_up(__m128i table, I index) { return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), index); }
TRANSOM_INLINE I nibbles(Bytes a, Bytes) {
  const __m128i v = load16(a);
  return and_(_mm256_inserti128_si256(_mm256_castsi128_si256(v), _mm_srli_epi16(v, 4), 1), 15);
}
TRANSOM_INLINE I bytes32(Bytes a, Bytes) { return load32(a); }
TRANSOM_INLINE I bits32(Bytes a, Bytes, int value) {
  const I word = _mm256_set1_epi32(load_as<int32_t>(a));
  const I spread = _mm256_shuffle_epi8(word, _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303));
  const I bit = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201u));
  return and_(_mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit), value);
}
TRANSOM_INLINE I fields(Bytes p, int shift, int, int mask) { return and_(shift_right(load32(p), shift), mask); }
TRANSOM_INLINE I bit_of(Bytes p, int bit, int value) {
  const I mask = set1_i8(1 << bit);
  return and_(_mm256_cmpeq_epi8(_mm256_and_si256(load32(p), mask), mask), value);
}
TRANSOM_INLINE F halves(Bytes a, Bytes) { return set1(f16_scalar(a)); }
TRANSOM_INLINE F per_block(float a, float) { return set1(a); }
TRANSOM_INLINE F block_scales(const float* d) { return set1(*d); }
#endif

// --- Blocks of 32.

struct Q4_0 {
  static constexpr int kElements = 32, kBytes = 18, kBias = 8;
  static constexpr bool kMin = false;
  TRANSOM_INLINE static I quants(Bytes a, Bytes b) { return nibbles(a + 2, b + 2); }
  TRANSOM_INLINE static F scale(Bytes a, Bytes b) { return halves(a, b); }
  TRANSOM_INLINE static F min(Bytes, Bytes) { return zero(); }
};
struct Q4_1 {
  static constexpr int kElements = 32, kBytes = 20, kBias = 0;
  static constexpr bool kMin = true;
  TRANSOM_INLINE static I quants(Bytes a, Bytes b) { return nibbles(a + 4, b + 4); }
  TRANSOM_INLINE static F scale(Bytes a, Bytes b) { return halves(a, b); }
  TRANSOM_INLINE static F min(Bytes a, Bytes b) { return halves(a + 2, b + 2); }
};
struct Q5_0 {
  static constexpr int kElements = 32, kBytes = 22, kBias = 16;
  static constexpr bool kMin = false;
  TRANSOM_INLINE static I quants(Bytes a, Bytes b) { return or_(nibbles(a + 6, b + 6), bits32(a + 2, b + 2, 16)); }
  TRANSOM_INLINE static F scale(Bytes a, Bytes b) { return halves(a, b); }
  TRANSOM_INLINE static F min(Bytes, Bytes) { return zero(); }
};
struct Q5_1 {
  static constexpr int kElements = 32, kBytes = 24, kBias = 0;
  static constexpr bool kMin = true;
  TRANSOM_INLINE static I quants(Bytes a, Bytes b) { return or_(nibbles(a + 8, b + 8), bits32(a + 4, b + 4, 16)); }
  TRANSOM_INLINE static F scale(Bytes a, Bytes b) { return halves(a, b); }
  TRANSOM_INLINE static F min(Bytes a, Bytes b) { return halves(a + 2, b + 2); }
};
struct Q8_0 {
  static constexpr int kElements = 32, kBytes = 34, kBias = 128;
  static constexpr bool kMin = false;
  TRANSOM_INLINE static I quants(Bytes a, Bytes b) { return flip_sign(bytes32(a + 2, b + 2)); }
  TRANSOM_INLINE static F scale(Bytes a, Bytes b) { return halves(a, b); }
  TRANSOM_INLINE static F min(Bytes, Bytes) { return zero(); }
};

// Sixteen signed levels, kept as level + 128.
TRANSOM_INLINE __m128i levels_iq4() {
  return _mm_setr_epi8(1, 24, 45, 63, 79, 93, 106, 118, static_cast<char>(129), static_cast<char>(141),
                       static_cast<char>(153), static_cast<char>(166), static_cast<char>(181), static_cast<char>(197),
                       static_cast<char>(217), static_cast<char>(241));
}
TRANSOM_INLINE __m128i levels_fp4() {  // E2M1 doubled: 0 1 2 3 4 6 8 12 and their negatives, + 128
  constexpr char k128 = static_cast<char>(128);
  return _mm_setr_epi8(k128, k128 + 1, k128 + 2, k128 + 3, k128 + 4, k128 + 6, k128 + 8, k128 + 12, k128, 127, 126, 125,
                       124, 122, 120, 116);
}
struct IQ4_NL {
  static constexpr int kElements = 32, kBytes = 18, kBias = 128;
  static constexpr bool kMin = false;
  TRANSOM_INLINE static I quants(Bytes a, Bytes b) { return look_up(levels_iq4(), nibbles(a + 2, b + 2)); }
  TRANSOM_INLINE static F scale(Bytes a, Bytes b) { return halves(a, b); }
  TRANSOM_INLINE static F min(Bytes, Bytes) { return zero(); }
};
struct MXFP4 {
  static constexpr int kElements = 32, kBytes = 17, kBias = 128;
  static constexpr bool kMin = false;
  TRANSOM_INLINE static float half_scale(uint8_t e) {  // 2^(e - 128): the levels are doubled
    const uint32_t bits = e < 2 ? 0x00200000u << e : static_cast<uint32_t>(e - 1) << 23;
    return load_as<float>(reinterpret_cast<Bytes>(&bits));
  }
  TRANSOM_INLINE static I quants(Bytes a, Bytes b) { return look_up(levels_fp4(), nibbles(a + 1, b + 1)); }
  TRANSOM_INLINE static F scale(Bytes a, Bytes b) { return per_block(half_scale(*a), half_scale(*b)); }
  TRANSOM_INLINE static F min(Bytes, Bytes) { return zero(); }
};

// --- Blocks of 256. quants(p, g): the chunk that starts with the g-th 32 elements. scales(p, s, m): kGroups floats each.

TRANSOM_INLINE void store8(float* p, __m256 v) { _mm256_storeu_ps(p, v); }
TRANSOM_INLINE __m256 floats8(__m128i bytes) { return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)); }
TRANSOM_INLINE __m256 signed_floats8(__m128i bytes) { return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)); }
TRANSOM_INLINE __m128i bytes8(uint64_t v) { return _mm_cvtsi64_si128(static_cast<int64_t>(v)); }

// Q4_K's and Q5_K's twelve bytes of 6-bit scales and minimums; the minimum is subtracted.
TRANSOM_INLINE void six_bit_scales(Bytes p, float* s, float* m) {
  const uint32_t a = load_as<uint32_t>(p + 4), b = load_as<uint32_t>(p + 8), c = load_as<uint32_t>(p + 12);
  const uint32_t s_high = (c & 0x0f0f0f0f) | (a >> 2 & 0x30303030), m_high = (c >> 4 & 0x0f0f0f0f) | (b >> 2 & 0x30303030);
  const uint64_t scales = (a & 0x3f3f3f3f) | static_cast<uint64_t>(s_high) << 32;
  const uint64_t mins = (b & 0x3f3f3f3f) | static_cast<uint64_t>(m_high) << 32;
  store8(s, _mm256_set1_ps(f16_scalar(p)) * floats8(bytes8(scales)));
  store8(m, _mm256_set1_ps(-f16_scalar(p + 2)) * floats8(bytes8(mins)));
}
TRANSOM_INLINE void store_groups(float* s, float d, __m128i scales) {  // 16 signed bytes
#if defined(__AVX512F__)
  storeu(s, set1(d) * to_float(_mm512_cvtepi8_epi32(scales)));
#else
  store8(s, _mm256_set1_ps(d) * signed_floats8(scales));
  store8(s + 8, _mm256_set1_ps(d) * signed_floats8(_mm_srli_si128(scales, 8)));
#endif
}

struct Q4_K {
  static constexpr int kElements = 256, kBytes = 144, kBias = 0, kGroup = 32;
  static constexpr bool kMin = true;
  TRANSOM_INLINE static I quants(Bytes p, int g) { return fields(p + 16 + g / 2 * 32, g % 2 * 4, 4, 15); }
  TRANSOM_INLINE static void scales(Bytes p, float* s, float* m) { six_bit_scales(p, s, m); }
};
struct Q5_K {
  static constexpr int kElements = 256, kBytes = 176, kBias = 0, kGroup = 32;
  static constexpr bool kMin = true;
  TRANSOM_INLINE static I quants(Bytes p, int g) {
    return or_(fields(p + 48 + g / 2 * 32, g % 2 * 4, 4, 15), bit_of(p + 16, g, 16));
  }
  TRANSOM_INLINE static void scales(Bytes p, float* s, float* m) { six_bit_scales(p, s, m); }
};
struct Q6_K {
  static constexpr int kElements = 256, kBytes = 210, kBias = 32, kGroup = 16;
  static constexpr bool kMin = false;
  TRANSOM_INLINE static I quants(Bytes p, int g) {
    const int half = g / 4, i = g % 4;
    const I low = and_(shift_right(load_i(p + half * 64 + i % 2 * 32), i / 2 * 4), 15);
    return or_(low, shift_left(fields(p + 128 + half * 32, i * 2, 2, 3), 4));
  }
  TRANSOM_INLINE static void scales(Bytes p, float* s, float*) { store_groups(s, f16_scalar(p + 208), load16(p + 192)); }
};
struct Q2_K {
  static constexpr int kElements = 256, kBytes = 84, kBias = 0, kGroup = 16;
  static constexpr bool kMin = true;
  TRANSOM_INLINE static I quants(Bytes p, int g) { return fields(p + 16 + g / 4 * 32, g % 4 * 2, 2, 3); }
  TRANSOM_INLINE static void scales(Bytes p, float* s, float* m) {
    const __m128i v = load16(p), low = _mm_set1_epi8(15);
    store_groups(s, f16_scalar(p + 80), _mm_and_si128(v, low));
    store_groups(m, -f16_scalar(p + 82), _mm_and_si128(_mm_srli_epi16(v, 4), low));
  }
};
struct Q3_K {
  static constexpr int kElements = 256, kBytes = 110, kBias = 4, kGroup = 16;
  static constexpr bool kMin = false;
  TRANSOM_INLINE static I quants(Bytes p, int g) {
    return or_(fields(p + 32 + g / 4 * 32, g % 4 * 2, 2, 3), bit_of(p, g, 4));
  }
  TRANSOM_INLINE static void scales(Bytes p, float* s, float*) {  // 6 bits each: 8 bytes of nibbles, then 4 bytes of 2-bit tops
    const uint64_t low = load_as<uint64_t>(p + 96), nibble = 0x0f0f0f0f0f0f0f0f;
    const uint32_t high = load_as<uint32_t>(p + 104);
    const __m128i tops = _mm_setr_epi32(static_cast<int>(high & 0x03030303), static_cast<int>(high >> 2 & 0x03030303),
                                        static_cast<int>(high >> 4 & 0x03030303), static_cast<int>(high >> 6 & 0x03030303));
    const __m128i lows = _mm_set_epi64x(static_cast<int64_t>(low >> 4 & nibble), static_cast<int64_t>(low & nibble));
    const __m128i v = _mm_or_si128(lows, _mm_slli_epi16(tops, 4));
    store_groups(s, f16_scalar(p + 108), _mm_sub_epi8(v, _mm_set1_epi8(32)));
  }
};
struct IQ4_XS {
  static constexpr int kElements = 256, kBytes = 136, kBias = 128, kGroup = 32;
  static constexpr bool kMin = false;
  TRANSOM_INLINE static I quants(Bytes p, int g) {
    return look_up(levels_iq4(), nibbles(p + 8 + 16 * g, p + 8 + 16 * (g + 1)));
  }
  TRANSOM_INLINE static void scales(Bytes p, float* s, float*) {
    const uint32_t high = load_as<uint16_t>(p + 2), low = load_as<uint32_t>(p + 4);
    const float d = f16_scalar(p);
    for (int g = 0; g < 8; ++g)
      s[g] = d * static_cast<float>(static_cast<int>((low >> 4 * g & 15) | (high >> 2 * g & 3) << 4) - 32);
  }
};

// Calls f with the format's struct; false when there is none.
template <class Call>
TRANSOM_INLINE bool with_format(DType t, Call&& f) {
  switch (t) {
    case DType::kQ4_0: return f(Q4_0()), true;
    case DType::kQ4_1: return f(Q4_1()), true;
    case DType::kQ5_0: return f(Q5_0()), true;
    case DType::kQ5_1: return f(Q5_1()), true;
    case DType::kQ8_0: return f(Q8_0()), true;
    case DType::kQ2_K: return f(Q2_K()), true;
    case DType::kQ3_K: return f(Q3_K()), true;
    case DType::kQ4_K: return f(Q4_K()), true;
    case DType::kQ5_K: return f(Q5_K()), true;
    case DType::kQ6_K: return f(Q6_K()), true;
    case DType::kIQ4_NL: return f(IQ4_NL()), true;
    case DType::kIQ4_XS: return f(IQ4_XS()), true;
    case DType::kMXFP4: return f(MXFP4()), true;
    default: return false;
  }
}

}  // namespace
}  // namespace transom::cpu::TRANSOM_ISA
