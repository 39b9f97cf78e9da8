// Quantized rows as floats: groups of formats.h, two vectors at a time.
#pragma once

#include "kernels/cpu/formats.h"

namespace transom::cpu::TRANSOM_ISA {
namespace {

TRANSOM_INLINE F widen(Bytes bytes) {
#if defined(__AVX512F__)
  return to_float(_mm512_cvtepu8_epi32(load16(bytes)));
#else
  return to_float(_mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes))));
#endif
}

// The first n elements of a group: put(at + i, elements i and on, those a vector later). s and m hold a value per kScaled elements.
template <int kScaled, Order kOrder, class Put>
TRANSOM_INLINE void expand_group(Group g, int bias, const float* s, const float* m, int64_t at, int64_t n, Put&& put) {
  alignas(64) uint8_t bytes[2][kChunk];
  store_i(bytes[0], g.first);
  store_i(bytes[1], g.second);
  const auto element = [&](int i) {
    const int block = i / 32, within = i % 32;
    const uint8_t* from = kOrder == Order::kQuad ? bytes[within / 16] + 16 * block + within % 16 : bytes[block % 2] + block / 2 * 32 + within;
    return fma(widen(from) - set1(static_cast<float>(bias)), set1(s[i / kScaled]), set1(m[i / kScaled]));
  };
  for (int i = 0; i < 32 * kGroupBlocks; i += 2 * kLanes)  // a constant bound, to be unrolled
    if (i < n) put(at + i, element(i), element(i + kLanes));
}

// n elements from the beginning of a block.
template <class Fmt, class Put>
TRANSOM_INLINE void expand_format(Bytes p, int64_t n, Put&& put) {
  if constexpr (Fmt::kElements == 32) {
    for (int64_t b = 0; b < n / 32; b += kGroupBlocks) {
      const int blocks = static_cast<int>(smaller(kGroupBlocks, n / 32 - b));
      const typename Fmt::RawGroup raw(p + b * Fmt::kBytes, blocks);
      alignas(64) float lanes[2][kLanes], s[4], m[4] = {};
      if constexpr (Fmt::kOrder == Order::kQuad) {
        storeu(lanes[0], Fmt::scale(raw));
        storeu(lanes[1], Fmt::min(raw));
        for (int i = 0; i < kGroupBlocks; ++i) s[i] = lanes[0][4 * i], m[i] = lanes[1][4 * i];
      } else {
        _mm_storeu_ps(s, Fmt::scales(raw));
      }
      expand_group<32, Fmt::kOrder>(Fmt::quants(raw), Fmt::kBias, s, m, 32 * b, 32 * blocks, put);
    }
  } else {
    for (int64_t b = 0; b < n / 256; ++b, p += Fmt::kBytes) {
      alignas(64) float s[16], m[16] = {};
      Fmt::scales(p, s, m);
      for (int g = 0; g < 8; g += kGroupBlocks) {
        const int at = g * 32 / Fmt::kScaled;
        expand_group<Fmt::kScaled, Fmt::kOrder>(Fmt::quants(p, g), Fmt::kBias, s + at, m + at, 256 * b + 32 * g, 32 * kGroupBlocks, put);
      }
    }
  }
}

}  // namespace
}  // namespace transom::cpu::TRANSOM_ISA
