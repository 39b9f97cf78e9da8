// Conversions between float and the narrow floating-point formats that checkpoints store: IEEE binary16, bfloat16,
// FP8 (OCP E4M3 without infinities and E5M2, and their "fnuz" twins), FP4 E2M1 and the power-of-two scale E8M0 (OCP
// MX 1.0). To a narrower type the rounding is to nearest, ties to even; denormals, infinities and NaN are handled exactly.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

namespace transom {

inline float f16_to_f32(uint16_t h) {
  const uint32_t sign = (h & 0x8000u) << 16, exponent = (h >> 10) & 31u, mantissa = h & 0x3ffu;
  if (exponent == 31) return std::bit_cast<float>(sign | 0x7f800000u | mantissa << 13);
  if (exponent == 0) return std::bit_cast<float>(sign | std::bit_cast<uint32_t>(static_cast<float>(mantissa) * 0x1p-24f));
  return std::bit_cast<float>(sign | (exponent + 112) << 23 | mantissa << 13);
}

inline uint16_t f32_to_f16(float f) {
  uint32_t x = std::bit_cast<uint32_t>(f);
  const uint32_t sign = (x >> 16) & 0x8000u;
  x &= 0x7fffffffu;
  if (x > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u | ((x >> 13) & 0x3ffu));
  if (x >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);  // 65520 and above round to infinity
  if (x < 0x38800000u) {  // below 2^-14: adding 0.5 rounds at 2^-24, the spacing of binary16's denormals
    const uint32_t r = std::bit_cast<uint32_t>(std::bit_cast<float>(x) + 0.5f);
    return static_cast<uint16_t>(sign | (r - 0x3f000000u));
  }
  x += 0xfffu + ((x >> 13) & 1u) - (112u << 23);
  return static_cast<uint16_t>(sign | x >> 13);
}

inline float bf16_to_f32(uint16_t h) { return std::bit_cast<float>(static_cast<uint32_t>(h) << 16); }

inline uint16_t f32_to_bf16(float f) {
  const uint32_t x = std::bit_cast<uint32_t>(f);
  if ((x & 0x7fffffffu) > 0x7f800000u) return static_cast<uint16_t>(x >> 16 | 0x40u);  // NaN stays NaN, quiet
  return static_cast<uint16_t>((x + 0x7fffu + ((x >> 16) & 1u)) >> 16);
}

// A number of `E` exponent bits and `M` mantissa bits with the given bias, without special values.
template <int E, int M>
inline float small_float_to_f32(uint8_t v, int bias) {
  const uint32_t mantissa = v & ((1u << M) - 1), exponent = (v >> M) & ((1u << E) - 1);
  const uint32_t fraction = exponent == 0 ? mantissa : mantissa | 1u << M;
  const int power = static_cast<int>(exponent == 0 ? 1 : exponent) - bias - M;
  const float magnitude = static_cast<float>(fraction) * std::bit_cast<float>(static_cast<uint32_t>(power + 127) << 23);
  return (v >> (E + M)) & 1 ? -magnitude : magnitude;
}

inline float f8e4m3_to_f32(uint8_t v) {
  if ((v & 0x7f) == 0x7f) return std::bit_cast<float>((v & 0x80u) << 24 | 0x7fc00000u);
  return small_float_to_f32<4, 3>(v, 7);
}

inline float f8e5m2_to_f32(uint8_t v) { return f16_to_f32(static_cast<uint16_t>(v << 8)); }

// The "fnuz" types have one more in the bias, no negative zero, and NaN in its place.
inline float f8e4m3fnuz_to_f32(uint8_t v) {
  return v == 0x80 ? std::bit_cast<float>(0x7fc00000u) : small_float_to_f32<4, 3>(v, 8);
}
inline float f8e5m2fnuz_to_f32(uint8_t v) {
  return v == 0x80 ? std::bit_cast<float>(0x7fc00000u) : small_float_to_f32<5, 2>(v, 16);
}

inline float f4_to_f32(uint8_t v) { return small_float_to_f32<2, 1>(v, 1); }  // E2M1 in the low four bits of v

// 2^(v - 127); 255 is NaN.
inline float e8m0_to_f32(uint8_t v) {
  if (v == 255) return std::bit_cast<float>(0x7fc00000u);
  return std::bit_cast<float>(v == 0 ? 0x00400000u : static_cast<uint32_t>(v) << 23);
}

// Unaligned little-endian loads from a file's bytes.
template <class T>
inline T load_le(const void* p) {
  static_assert(std::endian::native == std::endian::little);
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

template <class T>
inline void store_le(void* p, T v) {
  std::memcpy(p, &v, sizeof v);
}

}  // namespace transom
