// Quantized rows as bfloat16 by looking up: of a block's few levels, scale * level + min, a table is made in the order of their codes, from
// which the codes then choose as indices. The values are expand.h's, rounded once.
#pragma once

#include "kernels/cpu/formats.h"

namespace transom::cpu::TRANSOM_ISA {
namespace {

TRANSOM_INLINE I bf16_pair(F low, F high) {
  const __m512bh two = _mm512_cvtne2ps_pbh(high, low);
  I v;
  memcpy(&v, &two, sizeof v);
  return v;
}

// first, first + 1 … first + 15.
TRANSOM_INLINE F count_from(int first) {
  return to_float(_mm512_add_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0), set1_i32(first)));
}
TRANSOM_INLINE F levels_of(__m128i table) { return to_float(_mm512_cvtepu8_epi32(table)) - set1(128); }

// A block's table. Sixteen levels stand there twice, so that bit 4 of a code does not matter.
struct Levels {
  F low, high;
  bool five;
  template <bool kMin>
  TRANSOM_INLINE static F value(F level, float scale, float min) {
    return kMin ? fma(level, set1(scale), set1(min)) : level * set1(scale);
  }
  template <bool kMin>
  TRANSOM_INLINE I table(float scale, float min) const {
    const F v = value<kMin>(low, scale, min);
    return bf16_pair(v, five ? value<kMin>(high, scale, min) : v);
  }
  // Of two blocks of sixteen levels: codes of the second are 16 more.
  template <bool kMin>
  TRANSOM_INLINE I table_of_two(const float* scale, const float* min, int second) const {
    return bf16_pair(value<kMin>(low, scale[0], min[0]), value<kMin>(low, scale[second], min[second]));
  }
};
TRANSOM_INLINE Levels four_bits(F levels) { return {levels, levels, false}; }
TRANSOM_INLINE Levels five_bits(int bias) { return {count_from(-bias), count_from(16 - bias), true}; }

// What is particular to a format: kAt, kFifth: where a block of 32 has its 16 bytes of nibbles, and its 32 fifth bits. 0: none.
template <class Fmt>
struct Codes {
  static constexpr int kAt = 0;
};
template <int kNibbles, int kBits = 0>
struct CodesAt {
  static constexpr int kAt = kNibbles, kFifth = kBits;
};
template <>
struct Codes<Q4_0> : CodesAt<2> {
  TRANSOM_INLINE static Levels levels() { return four_bits(count_from(-8)); }
};
template <>
struct Codes<Q4_1> : CodesAt<4> {
  TRANSOM_INLINE static Levels levels() { return four_bits(count_from(0)); }
};
template <>
struct Codes<Q5_0> : CodesAt<6, 2> {
  TRANSOM_INLINE static Levels levels() { return five_bits(16); }
};
template <>
struct Codes<Q5_1> : CodesAt<8, 4> {
  TRANSOM_INLINE static Levels levels() { return five_bits(0); }
};
template <>
struct Codes<IQ4_NL> : CodesAt<2> {
  TRANSOM_INLINE static Levels levels() { return four_bits(levels_of(levels_iq4())); }
};
template <>
struct Codes<MXFP4> : CodesAt<1> {
  TRANSOM_INLINE static Levels levels() { return four_bits(levels_of(levels_fp4())); }
};
template <>
struct Codes<IQ4_XS> : CodesAt<8> {
  TRANSOM_INLINE static Levels levels() { return four_bits(levels_of(levels_iq4())); }
};
template <>
struct Codes<Q4_K> : CodesAt<16> {
  TRANSOM_INLINE static Levels levels() { return four_bits(count_from(0)); }
};
template <>
struct Codes<Q5_K> : CodesAt<48, 16> {
  TRANSOM_INLINE static Levels levels() { return five_bits(0); }
};

// Codes of 32 elements as words: of 16 bytes' lower nibbles, then their upper ones; above a lower nibble stands what stood there.
TRANSOM_INLINE I split_nibbles(Bytes p) {
  const I shift = join(_mm256_setzero_si256(), _mm256_set1_epi16(4));
  return _mm512_srlv_epi16(_mm512_cvtepu8_epi16(_mm256_broadcastsi128_si256(load16(p))), shift);
}
TRANSOM_INLINE I with_fifth(I words, __mmask32 bits) {
  const I nibble = _mm512_and_si512(words, _mm512_set1_epi16(15));
  return _mm512_mask_add_epi16(nibble, bits, nibble, _mm512_set1_epi16(16));
}
TRANSOM_INLINE I choose(I table, I codes) { return _mm512_permutexvar_epi16(codes, table); }

// Two blocks of sixteen levels, whose 32 bytes stand side by side, one a word.
TRANSOM_INLINE I choose_nibbles(I table, I words, I second) {
  return choose(table, _mm512_ternarylogic_epi32(words, _mm512_set1_epi16(15), second, 0xea));  // (words & 15) | second
}
TRANSOM_INLINE void store_halves(I v, uint16_t* low, uint16_t* high) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(low), _mm512_castsi512_si256(v));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(high), _mm512_extracti64x4_epi64(v, 1));
}
// 16 bytes a block: lower nibbles, then upper ones.
TRANSOM_INLINE void two_by_bytes(I table, __m256i bytes, uint16_t* dst) {
  const I words = _mm512_cvtepu8_epi16(bytes), second = join(_mm256_setzero_si256(), _mm256_set1_epi16(16));
  store_halves(choose_nibbles(table, words, second), dst, dst + 32);
  store_halves(choose_nibbles(table, _mm512_srli_epi16(words, 4), second), dst + 16, dst + 48);
}
// The lower nibbles are the one block, the upper ones the other.
TRANSOM_INLINE void two_by_nibbles(I table, __m256i bytes, uint16_t* dst) {
  const I words = _mm512_cvtepu8_epi16(bytes);
  store_i(dst, choose_nibbles(table, words, _mm512_setzero_si512()));
  store_i(dst + 32, choose_nibbles(table, _mm512_srli_epi16(words, 4), _mm512_set1_epi16(16)));
}

template <class Fmt>
TRANSOM_INLINE void look_up_small(Bytes p, int64_t blocks, uint16_t* dst) {
  using Raw = typename Fmt::RawGroup;
  const Levels levels = Codes<Fmt>::levels();
  const auto group = [&](const Raw& raw, int64_t b, int count) {
    alignas(64) float scale[kLanes], min[kLanes];  // a block's on four lanes
    storeu(scale, Fmt::scale(raw));
    __asm__("" : "+m"(scale));  // broadcast from memory: the processor's shuffles have enough to do
    if (Fmt::kMin) {
      storeu(min, Fmt::min(raw));
      __asm__("" : "+m"(min));
    }
    if (Codes<Fmt>::kFifth == 0 && count == kGroupBlocks) {
      for (int i = 0; i < kGroupBlocks; i += 2) {
        const Bytes block = p + (b + i) * Fmt::kBytes + Codes<Fmt>::kAt;
        const __m256i bytes = _mm256_inserti128_si256(_mm256_castsi128_si256(load16(block)), load16(block + Fmt::kBytes), 1);
        two_by_bytes(levels.table_of_two<Fmt::kMin>(scale + 4 * i, min + 4 * i, 4), bytes, dst + 32 * (b + i));
      }
      return;
    }
    for (int i = 0; i < kGroupBlocks; ++i) {
      if (i >= count) break;
      const Bytes block = p + (b + i) * Fmt::kBytes;
      I codes = split_nibbles(block + Codes<Fmt>::kAt);
      if (Codes<Fmt>::kFifth) codes = with_fifth(codes, load_as<uint32_t>(block + Codes<Fmt>::kFifth));
      store_i(dst + 32 * (b + i), choose(levels.table<Fmt::kMin>(scale[4 * i], min[4 * i]), codes));
    }
  };
  int64_t b = 0;
  for (; b + kGroupBlocks <= blocks; b += kGroupBlocks) group(Raw(p + b * Fmt::kBytes), b, kGroupBlocks);
  const int rest = static_cast<int>(blocks - b);
  if (rest) group(Raw(p + b * Fmt::kBytes, rest), b, rest);
}
// Blocks of 256: the nibbles of 32 bytes make two times 32 elements.
template <class Fmt>
TRANSOM_INLINE void look_up_super(Bytes p, int64_t blocks, uint16_t* dst) {
  const Levels levels = Codes<Fmt>::levels();
  for (int64_t b = 0; b < blocks; ++b, p += Fmt::kBytes, dst += 256) {
    float s[16], m[16] = {};
    Fmt::scales(p, s, m);
    for (int i = 0; i < 8; i += 2) {
      const __m256i bytes = load32(p + Codes<Fmt>::kAt + 16 * i);
      if (Codes<Fmt>::kFifth) {
        for (int j = i; j < i + 2; ++j) {
          const I codes = _mm512_srli_epi16(_mm512_cvtepu8_epi16(bytes), j % 2 * 4);
          const __mmask32 fifth = _mm256_test_epi8_mask(load32(p + Codes<Fmt>::kFifth), _mm256_set1_epi8(static_cast<char>(1 << j)));
          store_i(dst + 32 * j, choose(levels.table<Fmt::kMin>(s[j], m[j]), with_fifth(codes, fifth)));
        }
      } else {
        const I table = levels.table_of_two<Fmt::kMin>(s + i, m + i, 1);
        Fmt::kOrder == Order::kQuad ? two_by_bytes(table, bytes, dst + 32 * i) : two_by_nibbles(table, bytes, dst + 32 * i);
      }
    }
  }
}
TRANSOM_INLINE void scale_bytes(Bytes p, int64_t blocks, uint16_t* dst) {  // Q8_0
  for (int64_t b = 0; b < blocks; ++b, p += Q8_0::kBytes) {
    const F d = set1(f16_scalar(p));
    store_i(dst + 32 * b, bf16_pair(to_float(_mm512_cvtepi8_epi32(load16(p + 2))) * d, to_float(_mm512_cvtepi8_epi32(load16(p + 18))) * d));
  }
}

template <class Fmt>
constexpr bool kBytes = Fmt::kElements == 32 && Fmt::kOrder == Order::kPair;
template <class Fmt>
constexpr bool kByTable = kBytes<Fmt> || Codes<Fmt>::kAt != 0;
// n elements from the beginning of a block, of a format kByTable.
template <class Fmt>
TRANSOM_INLINE void look_up_bf16(Bytes p, int64_t n, uint16_t* dst) {
  if constexpr (kBytes<Fmt>) scale_bytes(p, n / 32, dst);
  else if constexpr (Fmt::kElements == 32) look_up_small<Fmt>(p, n / 32, dst);
  else look_up_super<Fmt>(p, n / 256, dst);
}

}  // namespace
}  // namespace transom::cpu::TRANSOM_ISA
