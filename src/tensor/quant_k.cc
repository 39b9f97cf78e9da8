// Decoders of the K-quants: super-blocks of 256 elements whose 8 or 16 groups have small integer scales (and minimums)
// under one or two half-precision factors. Element e of a 4-bit super-block stands in byte e/64*32 + e%32, the low
// nibble for the first 32 of each 64; 2-bit fields cycle likewise over each 128.
#include "tensor/half.h"
#include "tensor/quant.h"

namespace transom::blocks {
namespace {

float half_at(const uint8_t* p) { return f16_to_f32(load_le<uint16_t>(p)); }

int two_bits(const uint8_t* packed, int e) { return packed[e / 128 * 32 + e % 32] >> (e / 32 % 4 * 2) & 3; }
int four_bits(const uint8_t* packed, int e) { return packed[e / 64 * 32 + e % 32] >> (e / 32 % 2 * 4) & 15; }

// Scale and minimum of group g (of 8), 6 bits each, in 12 bytes: bytes 0-3 and 4-7 hold those of groups 0-3 in their low
// six bits and the top two bits of groups 4-7; bytes 8-11 hold the low nibbles of groups 4-7.
struct ScaleMin {
  int scale, min;
};
ScaleMin scale_min(const uint8_t* s, int g) {
  if (g < 4) return {s[g] & 63, s[4 + g] & 63};
  const int k = g - 4;
  return {(s[8 + k] & 15) | (s[k] >> 2 & 0x30), s[8 + k] >> 4 | (s[4 + k] >> 2 & 0x30)};
}

}  // namespace

void q2_k(const uint8_t* b, float* out) {  // 16 (scale | min << 4), 64 bytes of 2 bits, d, dmin
  const float d = half_at(b + 80), dmin = half_at(b + 82);
  for (int g = 0; g < 16; ++g) {
    const float scale = d * static_cast<float>(b[g] & 15), min = dmin * static_cast<float>(b[g] >> 4);
    for (int e = 16 * g; e < 16 * g + 16; ++e) out[e] = scale * static_cast<float>(two_bits(b + 16, e)) - min;
  }
}

void q3_k(const uint8_t* b, float* out) {  // 32 high bits bytes, 64 bytes of 2 bits, 12 bytes of 6-bit scales, d
  const float d = half_at(b + 108);
  const uint8_t* s = b + 96;
  for (int g = 0; g < 16; ++g) {
    const int scale = (s[g % 8] >> (g / 8 * 4) & 15) | (s[8 + g % 4] >> (g / 4 * 2) & 3) << 4;
    const float dl = d * static_cast<float>(scale - 32);
    for (int e = 16 * g; e < 16 * g + 16; ++e) {
      const int high = b[e % 32] >> (e / 32) & 1;
      out[e] = dl * static_cast<float>(two_bits(b + 32, e) - (high ? 0 : 4));
    }
  }
}

void q4_k(const uint8_t* b, float* out) {  // d, dmin, 12 bytes of scales and minimums, 128 bytes of 4 bits
  const float d = half_at(b), dmin = half_at(b + 2);
  for (int g = 0; g < 8; ++g) {
    const ScaleMin sm = scale_min(b + 4, g);
    const float scale = d * static_cast<float>(sm.scale), min = dmin * static_cast<float>(sm.min);
    for (int e = 32 * g; e < 32 * g + 32; ++e) out[e] = scale * static_cast<float>(four_bits(b + 16, e)) - min;
  }
}

void q5_k(const uint8_t* b, float* out) {  // as Q4_K, with 32 bytes of fifth bits before the nibbles
  const float d = half_at(b), dmin = half_at(b + 2);
  for (int g = 0; g < 8; ++g) {
    const ScaleMin sm = scale_min(b + 4, g);
    const float scale = d * static_cast<float>(sm.scale), min = dmin * static_cast<float>(sm.min);
    for (int e = 32 * g; e < 32 * g + 32; ++e) {
      const int q = four_bits(b + 48, e) | (b[16 + e % 32] >> g & 1) << 4;
      out[e] = scale * static_cast<float>(q) - min;
    }
  }
}

void q6_k(const uint8_t* b, float* out) {  // 128 bytes of low 4 bits, 64 bytes of high 2 bits, 16 int8 scales, d
  const float d = half_at(b + 208);
  for (int g = 0; g < 16; ++g) {
    const float scale = d * static_cast<float>(static_cast<int8_t>(b[192 + g]));
    for (int e = 16 * g; e < 16 * g + 16; ++e) {
      const int low = b[e / 128 * 64 + e % 64] >> (e / 64 % 2 * 4) & 15;
      out[e] = scale * static_cast<float>((low | two_bits(b + 128, e) << 4) - 32);
    }
  }
}

void q8_k(const uint8_t* b, float* out) {  // float d, 256 int8, 16 int16 sums
  const float d = load_le<float>(b);
  for (int e = 0; e < 256; ++e) out[e] = d * static_cast<float>(static_cast<int8_t>(b[4 + e]));
}

}  // namespace transom::blocks
