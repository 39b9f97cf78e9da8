// Weights as stored, decoded in registers: Format<T>::decode gives kChunk consecutive elements of a row from k on, k a multiple
// of kChunk, bit for bit as tensor/quant.h defines them. Rows begin at a multiple of the type's natural alignment: of 4 bytes for
// F32, of 2 for all others (so that a block's half-precision factors can be read whole). Layouts: tensor/quant_basic.cc and
// tensor/quant_k.cc (ggml's block structs).
#pragma once

#include "kernels/cuda/device.cuh"

namespace transom::cuda {

__device__ inline float half_at(const uint8_t* p) { return __half2float(*reinterpret_cast<const __half*>(p)); }
__device__ inline uint32_t word_at(const uint8_t* p) {
  const auto* h = reinterpret_cast<const uint16_t*>(p);
  return h[0] | uint32_t{h[1]} << 16;
}

template <DType T>
struct Format;

// One element a lane and step, so that a warp's reads are adjacent.
template <>
struct Format<DType::kF32> {
  static constexpr int kChunk = 1;
  __device__ static void decode(const uint8_t* row, int64_t k, float* w) { w[0] = reinterpret_cast<const float*>(row)[k]; }
};
template <>
struct Format<DType::kF16> {
  static constexpr int kChunk = 1;
  __device__ static void decode(const uint8_t* row, int64_t k, float* w) { w[0] = half_at(row + 2 * k); }
};
template <>
struct Format<DType::kBF16> {
  static constexpr int kChunk = 1;
  __device__ static void decode(const uint8_t* row, int64_t k, float* w) {
    w[0] = __bfloat162float(reinterpret_cast<const __nv_bfloat16*>(row)[k]);
  }
};

// The block formats give eight elements at once: they share a block's factors and one group's scale.
constexpr int kBlockChunk = 8;
template <int kElements, int kBytes>
struct Block {
  static constexpr int kChunk = kBlockChunk;
  const uint8_t* p;  // the block
  int e;             // the first element within it
  __device__ Block(const uint8_t* row, int64_t k) : p(row + k / kElements * kBytes), e(static_cast<int>(k % kElements)) {}
};
// Element e of a block of 32: the low nibbles are elements 0-15, the high ones 16-31.
__device__ inline int nibble(const uint8_t* packed, int e) { return packed[e % 16] >> (e / 16 * 4) & 15; }
// Element e of a super-block of 256 (see quant_k.cc).
__device__ inline int two_bits(const uint8_t* packed, int e) { return packed[e / 128 * 32 + e % 32] >> (e / 32 % 4 * 2) & 3; }
__device__ inline int four_bits(const uint8_t* packed, int e) { return packed[e / 64 * 32 + e % 32] >> (e / 32 % 2 * 4) & 15; }

template <>
struct Format<DType::kQ4_0> : Block<32, 18> {
  __device__ static void decode(const uint8_t* row, int64_t k, float* w) {
    const Block b(row, k);
    const float d = half_at(b.p);
    for (int i = 0; i < kChunk; ++i) w[i] = d * static_cast<float>(nibble(b.p + 2, b.e + i) - 8);
  }
};
template <>
struct Format<DType::kQ4_1> : Block<32, 20> {
  __device__ static void decode(const uint8_t* row, int64_t k, float* w) {
    const Block b(row, k);
    const float d = half_at(b.p), m = half_at(b.p + 2);
    for (int i = 0; i < kChunk; ++i) w[i] = d * static_cast<float>(nibble(b.p + 4, b.e + i)) + m;
  }
};
template <>
struct Format<DType::kQ5_0> : Block<32, 22> {
  __device__ static void decode(const uint8_t* row, int64_t k, float* w) {
    const Block b(row, k);
    const float d = half_at(b.p);
    const uint32_t high = word_at(b.p + 2) >> b.e;
    for (int i = 0; i < kChunk; ++i) {
      const int q = nibble(b.p + 6, b.e + i) | static_cast<int>(high >> i & 1) << 4;
      w[i] = d * static_cast<float>(q - 16);
    }
  }
};
template <>
struct Format<DType::kQ5_1> : Block<32, 24> {
  __device__ static void decode(const uint8_t* row, int64_t k, float* w) {
    const Block b(row, k);
    const float d = half_at(b.p), m = half_at(b.p + 2);
    const uint32_t high = word_at(b.p + 4) >> b.e;
    for (int i = 0; i < kChunk; ++i) {
      const int q = nibble(b.p + 8, b.e + i) | static_cast<int>(high >> i & 1) << 4;
      w[i] = d * static_cast<float>(q) + m;
    }
  }
};
template <>
struct Format<DType::kQ8_0> : Block<32, 34> {
  __device__ static void decode(const uint8_t* row, int64_t k, float* w) {
    const Block b(row, k);
    const float d = half_at(b.p);
    for (int i = 0; i < kChunk; ++i) w[i] = d * static_cast<float>(static_cast<int8_t>(b.p[2 + b.e + i]));
  }
};

struct ScaleMin {
  int scale, min;
};
__device__ inline ScaleMin scale_min(const uint8_t* s, int g) {  // as in quant_k.cc
  if (g < 4) return {s[g] & 63, s[4 + g] & 63};
  const int k = g - 4;
  return {(s[8 + k] & 15) | (s[k] >> 2 & 0x30), s[8 + k] >> 4 | (s[4 + k] >> 2 & 0x30)};
}

template <>
struct Format<DType::kQ4_K> : Block<256, 144> {
  __device__ static void decode(const uint8_t* row, int64_t k, float* w) {
    const Block b(row, k);
    const ScaleMin sm = scale_min(b.p + 4, b.e / 32);
    const float scale = half_at(b.p) * static_cast<float>(sm.scale), min = half_at(b.p + 2) * static_cast<float>(sm.min);
    for (int i = 0; i < kChunk; ++i) w[i] = scale * static_cast<float>(four_bits(b.p + 16, b.e + i)) - min;
  }
};
template <>
struct Format<DType::kQ5_K> : Block<256, 176> {
  __device__ static void decode(const uint8_t* row, int64_t k, float* w) {
    const Block b(row, k);
    const int g = b.e / 32;
    const ScaleMin sm = scale_min(b.p + 4, g);
    const float scale = half_at(b.p) * static_cast<float>(sm.scale), min = half_at(b.p + 2) * static_cast<float>(sm.min);
    for (int i = 0; i < kChunk; ++i) {
      const int q = four_bits(b.p + 48, b.e + i) | (b.p[16 + (b.e + i) % 32] >> g & 1) << 4;
      w[i] = scale * static_cast<float>(q) - min;
    }
  }
};
template <>
struct Format<DType::kQ6_K> : Block<256, 210> {
  __device__ static void decode(const uint8_t* row, int64_t k, float* w) {
    const Block b(row, k);
    const float scale = half_at(b.p + 208) * static_cast<float>(static_cast<int8_t>(b.p[192 + b.e / 16]));
    for (int i = 0; i < kChunk; ++i) {
      const int e = b.e + i, low = b.p[e / 128 * 64 + e % 64] >> (e / 64 % 2 * 4) & 15;
      w[i] = scale * static_cast<float>((low | two_bits(b.p + 128, e) << 4) - 32);
    }
  }
};

// Calls f with the format as a template argument: f.template operator()<DType>().
template <class F>
void with_format(const char* op, DType t, F&& f) {
  switch (t) {
    case DType::kF32: return f.template operator()<DType::kF32>();
    case DType::kF16: return f.template operator()<DType::kF16>();
    case DType::kBF16: return f.template operator()<DType::kBF16>();
    case DType::kQ4_0: return f.template operator()<DType::kQ4_0>();
    case DType::kQ4_1: return f.template operator()<DType::kQ4_1>();
    case DType::kQ5_0: return f.template operator()<DType::kQ5_0>();
    case DType::kQ5_1: return f.template operator()<DType::kQ5_1>();
    case DType::kQ8_0: return f.template operator()<DType::kQ8_0>();
    case DType::kQ4_K: return f.template operator()<DType::kQ4_K>();
    case DType::kQ5_K: return f.template operator()<DType::kQ5_K>();
    case DType::kQ6_K: return f.template operator()<DType::kQ6_K>();
    default: refuse_format(op, t);
  }
}

}  // namespace transom::cuda
