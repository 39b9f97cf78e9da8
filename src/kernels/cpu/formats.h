// Block-quantized formats as stored, for dot products. The unit is a group: kGroupBlocks blocks of 32 elements (128
// elements with 64-byte vectors, 64 with 32-byte ones), which a format turns into two vectors of unsigned bytes with
// value = scale[block] * (byte - kBias) + min[block]. Which bytes stand where is the format's order:
//   kQuad: `first` has elements 0-15 of each block of the group, `second` elements 16-31 (nibbles of 16 bytes a block);
//   kPair: `first` has blocks 0 and 2, `second` 1 and 3 (with 32-byte vectors: 0, and 1) (nibbles of 32 bytes).
// Activations are 16-bit words, laid out alike: even bytes' and odd bytes' of `first`, then of `second`.
// Block layouts: ggml's block structs, explained in tensor/quant_basic.cc, quant_k.cc and quant_iq.cc.
#pragma once

#include "kernels/cpu/vec.h"

namespace transom::cpu::TRANSOM_ISA {
namespace {

using Bytes = const uint8_t*;
constexpr int kGroupBlocks = kWide ? 4 : 2;
enum class Order : uint8_t { kQuad, kPair };

struct Group {
  I first, second;
};

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

// The raw bytes of a group of blocks of 32, kStride each (even, at most 32): its first and its last 64 bytes. Of a row's
// last group only `blocks` may be there; the rest reads as zeros.
template <int kStride>
struct Raw {
  static constexpr int kSecond = 4 * kStride - 64;
  I a, b;
  TRANSOM_INLINE explicit Raw(Bytes p) : a(load_i(p)), b(load_i(p + kSecond)) {}
  TRANSOM_INLINE Raw(Bytes p, int blocks)
      : a(_mm512_maskz_loadu_epi8(mask(blocks * kStride), p)), b(_mm512_maskz_loadu_epi8(mask(blocks * kStride - kSecond), p + kSecond)) {}
  TRANSOM_INLINE static __mmask64 mask(int n) { return n >= 64 ? ~uint64_t{0} : n <= 0 ? 0 : (uint64_t{1} << n) - 1; }
  // Index of the word at byte `at` of the group.
  static constexpr uint16_t word(int at) { return static_cast<uint16_t>(at < 64 ? at / 2 : (at - kSecond) / 2 + 32); }
};
struct alignas(64) WordIndex {
  uint16_t at[32];
};
template <int kStride>
constexpr WordIndex packed_index(int offset) {  // 16 bytes of each block
  WordIndex w{};
  for (int i = 0; i < 32; ++i) w.at[i] = Raw<kStride>::word(i / 8 * kStride + offset + i % 8 * 2);
  return w;
}
template <int kStride>
constexpr WordIndex spread_index(int offset) {  // one word of each block, four times
  WordIndex w{};
  for (int i = 0; i < 16; ++i) w.at[i] = Raw<kStride>::word(i / 4 * kStride + offset);
  return w;
}
template <int kStride>
constexpr WordIndex bits_index(int offset) {  // a 32-bit word of each block: the lower halves, then the upper ones
  WordIndex w{};
  for (int i = 0; i < 8; ++i) w.at[i] = Raw<kStride>::word(i % 4 * kStride + offset + i / 4 * 2);
  return w;
}
template <int kStride>
TRANSOM_INLINE I pick(const Raw<kStride>& r, const WordIndex& index) {
  return _mm512_permutex2var_epi16(r.a, load_i(index.at), r.b);
}
// 16 bytes of each block.
template <int kOffset, int kStride>
TRANSOM_INLINE I packed(const Raw<kStride>& r) {
  static constexpr WordIndex kIndex = packed_index<kStride>(kOffset);
  return pick(r, kIndex);
}
// A half-precision number of each block, on the block's four lanes.
template <int kOffset, int kStride>
TRANSOM_INLINE F halves(const Raw<kStride>& r) {
  static constexpr WordIndex kIndex = spread_index<kStride>(kOffset);
  return _mm512_cvtph_ps(_mm512_castsi512_si256(pick(r, kIndex)));
}
// Adds 16 where the elements' bits of each block's 32-bit word are set.
template <int kOffset, int kStride>
TRANSOM_INLINE Group add_fifth_bits(const Raw<kStride>& r, Group g) {
  static constexpr WordIndex kIndex = bits_index<kStride>(kOffset);
  const __m128i bits = _mm512_castsi512_si128(pick(r, kIndex));
  const I sixteen = set1_i8(16);
  return {_mm512_mask_add_epi8(g.first, static_cast<__mmask64>(_mm_cvtsi128_si64(bits)), g.first, sixteen),
          _mm512_mask_add_epi8(g.second, static_cast<__mmask64>(_mm_extract_epi64(bits, 1)), g.second, sixteen)};
}
// 32 bytes of two places.
TRANSOM_INLINE I two(Bytes a, Bytes b) { return join(load32(a), load32(b)); }
// 32 bytes twice, shifted right by `shift` and by `shift + step`, masked.
TRANSOM_INLINE I fields(Bytes p, int shift, int step, int mask) {
  const I counts = join(_mm256_set1_epi64x(shift), _mm256_set1_epi64x(shift + step));
  return and_(_mm512_srlv_epi64(_mm512_broadcast_i64x4(load32(p)), counts), mask);
}
// `value` where bit `bit` of 32 bytes is set, then where bit + step is.
TRANSOM_INLINE I bit_of(Bytes p, int bit, int step, int value) {
  const I mask = join(_mm256_set1_epi8(static_cast<char>(1 << bit)), _mm256_set1_epi8(static_cast<char>(1 << (bit + step))));
  return _mm512_maskz_mov_epi8(_mm512_test_epi8_mask(_mm512_broadcast_i64x4(load32(p)), mask), set1_i8(value));
}
TRANSOM_INLINE F per_block(const float* s) {  // four floats, each on four lanes
  const I index = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
  return _mm512_permutexvar_ps(index, _mm512_castps128_ps512(_mm_loadu_ps(s)));
}
#else
TRANSOM_INLINE I and_(I a, int mask) { return _mm256_and_si256(a, set1_i8(mask)); }
TRANSOM_INLINE I or_(I a, I b) { return _mm256_or_si256(a, b); }
TRANSOM_INLINE I shift_left(I a, int n) { return _mm256_slli_epi16(a, n); }
TRANSOM_INLINE I shift_right(I a, int n) { return _mm256_srli_epi16(a, n); }
TRANSOM_INLINE I flip_sign(I v) { return _mm256_xor_si256(v, set1_i8(-128)); }
TRANSOM_INLINE I look_up(__m128i table, I index) { return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), index); }

template <int kStride>
struct Raw {
  Bytes a, b;
  bool both;
  TRANSOM_INLINE explicit Raw(Bytes p) : a(p), b(p + kStride), both(true) {}
  TRANSOM_INLINE Raw(Bytes p, int blocks) : a(p), b(blocks > 1 ? p + kStride : p), both(blocks > 1) {}
};
template <int kOffset, int kStride>
TRANSOM_INLINE I packed(const Raw<kStride>& r) {
  return _mm256_inserti128_si256(_mm256_castsi128_si256(load16(r.a + kOffset)), load16(r.b + kOffset), 1);
}
TRANSOM_INLINE F on_halves(float a, float b) { return _mm256_insertf128_ps(set1(a), _mm_set1_ps(b), 1); }
template <int kOffset, int kStride>
TRANSOM_INLINE F halves(const Raw<kStride>& r) {
  return on_halves(f16_scalar(r.a + kOffset), r.both ? f16_scalar(r.b + kOffset) : 0.f);
}
template <int kOffset, int kStride>
TRANSOM_INLINE Group add_fifth_bits(const Raw<kStride>& r, Group g) {
  const I words = _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_set1_epi32(load_as<int32_t>(r.a + kOffset))),
                                          _mm_set1_epi32(load_as<int32_t>(r.b + kOffset)), 1);
  const I bit = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201u));
  const auto spread = [&](int64_t low, int64_t high) {
    const I v = _mm256_shuffle_epi8(words, _mm256_setr_epi64x(low, high, low, high));
    return and_(_mm256_cmpeq_epi8(_mm256_and_si256(v, bit), bit), 16);
  };
  return {or_(g.first, spread(0, 0x0101010101010101)), or_(g.second, spread(0x0202020202020202, 0x0303030303030303))};
}
TRANSOM_INLINE I two(Bytes a, Bytes) { return load32(a); }
TRANSOM_INLINE I fields(Bytes p, int shift, int, int mask) { return and_(shift_right(load32(p), shift), mask); }
TRANSOM_INLINE I bit_of(Bytes p, int bit, int, int value) {
  const I mask = set1_i8(1 << bit);
  return and_(_mm256_cmpeq_epi8(_mm256_and_si256(load32(p), mask), mask), value);
}
TRANSOM_INLINE F per_block(const float* s) { return on_halves(s[0], s[1]); }
#endif

TRANSOM_INLINE Group nibbles(I v) { return {and_(v, 15), and_(shift_right(v, 4), 15)}; }
TRANSOM_INLINE Group look_up(__m128i table, Group g) { return {look_up(table, g.first), look_up(table, g.second)}; }

// --- Blocks of 32. load(p [, blocks]): the raw group; scale and min: each block's on its lanes.

template <int kStride>
struct Small {
  static constexpr int kElements = 32, kBytes = kStride;
  using RawGroup = Raw<kStride>;
};
struct Q4_0 : Small<18> {
  static constexpr Order kOrder = Order::kQuad;
  static constexpr int kBias = 8;
  static constexpr bool kMin = false;
  TRANSOM_INLINE static Group quants(const RawGroup& r) { return nibbles(packed<2>(r)); }
  TRANSOM_INLINE static F scale(const RawGroup& r) { return halves<0>(r); }
  TRANSOM_INLINE static F min(const RawGroup&) { return zero(); }
};
struct Q4_1 : Small<20> {
  static constexpr Order kOrder = Order::kQuad;
  static constexpr int kBias = 0;
  static constexpr bool kMin = true;
  TRANSOM_INLINE static Group quants(const RawGroup& r) { return nibbles(packed<4>(r)); }
  TRANSOM_INLINE static F scale(const RawGroup& r) { return halves<0>(r); }
  TRANSOM_INLINE static F min(const RawGroup& r) { return halves<2>(r); }
};
struct Q5_0 : Small<22> {
  static constexpr Order kOrder = Order::kQuad;
  static constexpr int kBias = 16;
  static constexpr bool kMin = false;
  TRANSOM_INLINE static Group quants(const RawGroup& r) { return add_fifth_bits<2>(r, nibbles(packed<6>(r))); }
  TRANSOM_INLINE static F scale(const RawGroup& r) { return halves<0>(r); }
  TRANSOM_INLINE static F min(const RawGroup&) { return zero(); }
};
struct Q5_1 : Small<24> {
  static constexpr Order kOrder = Order::kQuad;
  static constexpr int kBias = 0;
  static constexpr bool kMin = true;
  TRANSOM_INLINE static Group quants(const RawGroup& r) { return add_fifth_bits<4>(r, nibbles(packed<8>(r))); }
  TRANSOM_INLINE static F scale(const RawGroup& r) { return halves<0>(r); }
  TRANSOM_INLINE static F min(const RawGroup& r) { return halves<2>(r); }
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
struct IQ4_NL : Small<18> {
  static constexpr Order kOrder = Order::kQuad;
  static constexpr int kBias = 128;
  static constexpr bool kMin = false;
  TRANSOM_INLINE static Group quants(const RawGroup& r) { return look_up(levels_iq4(), nibbles(packed<2>(r))); }
  TRANSOM_INLINE static F scale(const RawGroup& r) { return halves<0>(r); }
  TRANSOM_INLINE static F min(const RawGroup&) { return zero(); }
};

// Blocks that are not a whole number of words, or are read in other pieces: pointers to the group's blocks, the last one
// standing in for those that are not there (their activations are zeros).
template <int kStride>
struct Places {
  Bytes p[kGroupBlocks];
  TRANSOM_INLINE explicit Places(Bytes first) {
    for (int i = 0; i < kGroupBlocks; ++i) p[i] = first + i * kStride;
  }
  TRANSOM_INLINE Places(Bytes first, int blocks) {
    for (int i = 0; i < kGroupBlocks; ++i) p[i] = first + (i < blocks ? i : blocks - 1) * kStride;
  }
};
struct MXFP4 {
  static constexpr int kElements = 32, kBytes = 17, kBias = 128;
  static constexpr Order kOrder = Order::kQuad;
  static constexpr bool kMin = false;
  using RawGroup = Places<17>;
  TRANSOM_INLINE static float half_scale(uint8_t e) {  // 2^(e - 128): the levels are doubled
    const uint32_t bits = e < 2 ? 0x00200000u << e : static_cast<uint32_t>(e - 1) << 23;
    return load_as<float>(reinterpret_cast<Bytes>(&bits));
  }
  TRANSOM_INLINE static Group quants(const RawGroup& r) {
    alignas(64) uint8_t packed[kChunk];
    for (int i = 0; i < kGroupBlocks; ++i) memcpy(packed + 16 * i, r.p[i] + 1, 16);
    return look_up(levels_fp4(), nibbles(load_i(packed)));
  }
  TRANSOM_INLINE static F scale(const RawGroup& r) {
    float s[kGroupBlocks];
    for (int i = 0; i < kGroupBlocks; ++i) s[i] = half_scale(*r.p[i]);
    return per_block(s);
  }
  TRANSOM_INLINE static F min(const RawGroup&) { return zero(); }
};

// Q8_0 is in pair order: its blocks are 32 whole bytes.
struct Q8_0 {
  static constexpr int kElements = 32, kBytes = 34, kBias = 128;
  static constexpr Order kOrder = Order::kPair;
  static constexpr bool kMin = false;
  using RawGroup = Places<34>;
#if defined(__AVX512F__)
  TRANSOM_INLINE static Group quants(const RawGroup& r) {
    return {flip_sign(two(r.p[0] + 2, r.p[2] + 2)), flip_sign(two(r.p[1] + 2, r.p[3] + 2))};
  }
#else
  TRANSOM_INLINE static Group quants(const RawGroup& r) { return {flip_sign(load32(r.p[0] + 2)), flip_sign(load32(r.p[1] + 2))}; }
#endif
  TRANSOM_INLINE static __m128 scales(const RawGroup& r) {  // of the group's blocks in order, then zeros
    __m128i h = _mm_cvtsi32_si128(load_as<uint16_t>(r.p[0]));
    h = _mm_insert_epi16(h, load_as<int16_t>(r.p[1]), 1);
    if (kWide) h = _mm_insert_epi16(h, load_as<int16_t>(r.p[kGroupBlocks - 2]), 2), h = _mm_insert_epi16(h, load_as<int16_t>(r.p[kGroupBlocks - 1]), 3);
    return _mm_cvtph_ps(h);
  }
};

// --- Blocks of 256. quants(p, b): the group that starts with the b-th 32 elements. scales(p, s, m): one float per kScaled
// elements each.

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
TRANSOM_INLINE void store_scales(float* s, float d, __m128i scales) {  // 16 signed bytes
#if defined(__AVX512F__)
  storeu(s, set1(d) * to_float(_mm512_cvtepi8_epi32(scales)));
#else
  store8(s, _mm256_set1_ps(d) * signed_floats8(scales));
  store8(s + 8, _mm256_set1_ps(d) * signed_floats8(_mm_srli_si128(scales, 8)));
#endif
}

struct Q4_K {
  static constexpr int kElements = 256, kBytes = 144, kBias = 0, kScaled = 32;
  static constexpr Order kOrder = Order::kPair;
  static constexpr bool kMin = true;
  TRANSOM_INLINE static Group quants(Bytes p, int b) { return nibbles(load_i(p + 16 + 16 * b)); }
  TRANSOM_INLINE static void scales(Bytes p, float* s, float* m) { six_bit_scales(p, s, m); }
};
struct Q5_K {
  static constexpr int kElements = 256, kBytes = 176, kBias = 0, kScaled = 32;
  static constexpr Order kOrder = Order::kPair;
  static constexpr bool kMin = true;
  TRANSOM_INLINE static Group quants(Bytes p, int b) {
    const Group g = nibbles(load_i(p + 48 + 16 * b));
    return {or_(g.first, bit_of(p + 16, b, 2, 16)), or_(g.second, bit_of(p + 16, b + 1, 2, 16))};
  }
  TRANSOM_INLINE static void scales(Bytes p, float* s, float* m) { six_bit_scales(p, s, m); }
};
struct Q6_K {
  static constexpr int kElements = 256, kBytes = 210, kBias = 32, kScaled = 16;
  static constexpr Order kOrder = Order::kPair;
  static constexpr bool kMin = false;
  TRANSOM_INLINE static I half(Bytes p, int b) {
    const int i = b % 4;
    const I low = fields(p + b / 4 * 64 + i % 2 * 32, i / 2 * 4, 4, 15);
    return or_(low, shift_left(fields(p + 128 + b / 4 * 32, i * 2, 4, 3), 4));
  }
  TRANSOM_INLINE static Group quants(Bytes p, int b) { return {half(p, b), half(p, b + 1)}; }
  TRANSOM_INLINE static void scales(Bytes p, float* s, float*) { store_scales(s, f16_scalar(p + 208), load16(p + 192)); }
};
struct Q2_K {
  static constexpr int kElements = 256, kBytes = 84, kBias = 0, kScaled = 16;
  static constexpr Order kOrder = Order::kPair;
  static constexpr bool kMin = true;
  TRANSOM_INLINE static Group quants(Bytes p, int b) {
    const Bytes at = p + 16 + b / 4 * 32;
    return {fields(at, b % 4 * 2, 4, 3), fields(at, b % 4 * 2 + 2, 4, 3)};
  }
  TRANSOM_INLINE static void scales(Bytes p, float* s, float* m) {
    const __m128i v = load16(p), low = _mm_set1_epi8(15);
    store_scales(s, f16_scalar(p + 80), _mm_and_si128(v, low));
    store_scales(m, -f16_scalar(p + 82), _mm_and_si128(_mm_srli_epi16(v, 4), low));
  }
};
struct Q3_K {
  static constexpr int kElements = 256, kBytes = 110, kBias = 4, kScaled = 16;
  static constexpr Order kOrder = Order::kPair;
  static constexpr bool kMin = false;
  TRANSOM_INLINE static Group quants(Bytes p, int b) {
    const Bytes at = p + 32 + b / 4 * 32;
    return {or_(fields(at, b % 4 * 2, 4, 3), bit_of(p, b, 2, 4)), or_(fields(at, b % 4 * 2 + 2, 4, 3), bit_of(p, b + 1, 2, 4))};
  }
  TRANSOM_INLINE static void scales(Bytes p, float* s, float*) {  // 6 bits each: 8 bytes of nibbles, then 4 bytes of 2-bit tops
    const uint64_t low = load_as<uint64_t>(p + 96), nibble = 0x0f0f0f0f0f0f0f0f;
    const uint32_t high = load_as<uint32_t>(p + 104);
    const __m128i tops = _mm_setr_epi32(static_cast<int>(high & 0x03030303), static_cast<int>(high >> 2 & 0x03030303),
                                        static_cast<int>(high >> 4 & 0x03030303), static_cast<int>(high >> 6 & 0x03030303));
    const __m128i lows = _mm_set_epi64x(static_cast<int64_t>(low >> 4 & nibble), static_cast<int64_t>(low & nibble));
    const __m128i v = _mm_or_si128(lows, _mm_slli_epi16(tops, 4));
    store_scales(s, f16_scalar(p + 108), _mm_sub_epi8(v, _mm_set1_epi8(32)));
  }
};
struct IQ4_XS {
  static constexpr int kElements = 256, kBytes = 136, kBias = 128, kScaled = 32;
  static constexpr Order kOrder = Order::kQuad;
  static constexpr bool kMin = false;
  TRANSOM_INLINE static Group quants(Bytes p, int b) { return look_up(levels_iq4(), nibbles(load_i(p + 8 + 16 * b))); }
  TRANSOM_INLINE static void scales(Bytes p, float* s, float*) {
    const uint32_t high = load_as<uint16_t>(p + 2), low = load_as<uint32_t>(p + 4);
    const float d = f16_scalar(p);
    for (int g = 0; g < 8; ++g)
      s[g] = d * static_cast<float>(static_cast<int>((low >> 4 * g & 15) | (high >> 2 * g & 3) << 4) - 32);
  }
};

// Calls f with the format's struct; false when there is none. First those that keys and values may be kept in.
template <class Call>
TRANSOM_INLINE bool with_block_format(DType t, Call&& f) {
  switch (t) {
    case DType::kQ4_0: return f(Q4_0()), true;
    case DType::kQ4_1: return f(Q4_1()), true;
    case DType::kQ5_0: return f(Q5_0()), true;
    case DType::kQ5_1: return f(Q5_1()), true;
    case DType::kQ8_0: return f(Q8_0()), true;
    default: return false;
  }
}
template <class Call>
TRANSOM_INLINE bool with_format(DType t, Call&& f) {
  if (with_block_format(t, f)) return true;
  switch (t) {
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
