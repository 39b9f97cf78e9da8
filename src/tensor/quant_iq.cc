// Decoders of the IQ formats: 256 elements as indices into a table of code points (quant_iq_tables.h), with signs and
// small scales beside them; IQ4 is a 4-bit format with non-linear levels.
#include "tensor/half.h"
#include "tensor/quant.h"
#include "tensor/quant_iq_tables.h"

namespace transom::blocks {
namespace {

float half_at(const uint8_t* p) { return f16_to_f32(load_le<uint16_t>(p)); }
int nibble(const uint8_t* packed, int i) { return packed[i / 2] >> (i % 2 * 4) & 15; }
float sign(uint8_t signs, int i) { return signs >> i & 1 ? -1.f : 1.f; }

// scale * magnitude * sign for the eight elements of a 2-bit code point.
void point8(uint16_t point, float scale, uint8_t signs, float* out) {
  for (int i = 0; i < 8; ++i) out[i] = scale * kMagnitudesIQ2[point >> (2 * i) & 3] * sign(signs, i);
}

// The same for four elements of an IQ3 code point; `signs` holds theirs in its low bits.
void point4(uint16_t point, const float* magnitudes, float scale, uint8_t signs, float* out) {
  for (int i = 0; i < 4; ++i) out[i] = scale * magnitudes[point >> (4 * i) & 7] * sign(signs, i);
}

void shifted8(uint16_t point, float scale, float delta, float* out) {
  for (int i = 0; i < 8; ++i) out[i] = scale * (kMagnitudesIQ1[point >> (2 * i) & 3] + delta);
}

}  // namespace

void iq2_xxs(const uint8_t* b, float* out) {  // d, then per 32: four 8-bit indices, four 7-bit signs, 4-bit scale
  const float d = half_at(b);
  for (int g = 0; g < 8; ++g) {
    const uint8_t* index = b + 2 + 8 * g;
    const uint32_t word = load_le<uint32_t>(index + 4);
    const float scale = d * (0.5f + static_cast<float>(word >> 28)) * 0.25f;
    for (int k = 0; k < 4; ++k)
      point8(kGridIQ2XXS[index[k]], scale, even_signs(word >> (7 * k) & 127), out + 32 * g + 8 * k);
  }
}

void iq2_xs(const uint8_t* b, float* out) {  // d, 32 of (9-bit index, 7-bit signs), 16 4-bit scales
  const float d = half_at(b);
  for (int i = 0; i < 32; ++i) {
    const uint16_t word = load_le<uint16_t>(b + 2 + 2 * i);
    const float scale = d * (0.5f + static_cast<float>(nibble(b + 66, i / 2))) * 0.25f;
    point8(kGridIQ2XS[word & 511], scale, even_signs(word >> 9), out + 8 * i);
  }
}

void iq2_s(const uint8_t* b, float* out) {  // d, 32 low index bytes, 32 sign bytes, 8 bytes of high bits, 16 scales
  const float d = half_at(b);
  for (int i = 0; i < 32; ++i) {
    const int index = b[2 + i] | (b[66 + i / 4] >> (i % 4 * 2) & 3) << 8;
    const float scale = d * (0.5f + static_cast<float>(nibble(b + 74, i / 2))) * 0.25f;
    point8(kGridIQ2S[index], scale, b[34 + i], out + 8 * i);
  }
}

void iq3_xxs(const uint8_t* b, float* out) {  // d, 64 indices, then per 32: four 7-bit signs and a 4-bit scale
  const float d = half_at(b);
  for (int g = 0; g < 8; ++g) {
    const uint32_t word = load_le<uint32_t>(b + 66 + 4 * g);
    const float scale = d * (0.5f + static_cast<float>(word >> 28)) * 0.5f;
    for (int k = 0; k < 8; ++k) {
      const uint8_t signs = static_cast<uint8_t>(even_signs(word >> (k / 2 * 7) & 127) >> (k % 2 * 4));
      point4(kGridIQ3XXS[b[2 + 8 * g + k]], kMagnitudesIQ3XXS, scale, signs, out + 32 * g + 4 * k);
    }
  }
}

void iq3_s(const uint8_t* b, float* out) {  // d, 64 low index bytes, 8 bytes of ninth bits, 32 sign bytes, 8 scales
  const float d = half_at(b);
  for (int i = 0; i < 64; ++i) {
    const int index = b[2 + i] | (b[66 + i / 8] >> (i % 8) & 1) << 8;
    const float scale = d * static_cast<float>(1 + 2 * nibble(b + 106, i / 8));
    point4(kGridIQ3S[index], kMagnitudesIQ3S, scale, static_cast<uint8_t>(b[74 + i / 2] >> (i % 2 * 4)), out + 4 * i);
  }
}

void iq1_s(const uint8_t* b, float* out) {  // d, 32 low index bytes, 8 words: 4 x 3 high bits, scale, sign of delta
  const float d = half_at(b);
  for (int g = 0; g < 8; ++g) {
    const uint16_t word = load_le<uint16_t>(b + 34 + 2 * g);
    const float scale = d * static_cast<float>(2 * (word >> 12 & 7) + 1), delta = word & 0x8000 ? -0.125f : 0.125f;
    for (int k = 0; k < 4; ++k) {
      const int index = b[2 + 4 * g + k] | (word >> (3 * k) & 7) << 8;
      shifted8(kGridIQ1S[index], scale, delta, out + 32 * g + 8 * k);
    }
  }
}

// 32 low index bytes, 16 bytes of (3 high bits, sign of delta), 4 words of four 3-bit scales; the top nibbles of the
// words together are the half-precision d.
void iq1_m(const uint8_t* b, float* out) {
  uint16_t words[4];
  unsigned bits = 0;
  for (int i = 0; i < 4; ++i) {
    words[i] = load_le<uint16_t>(b + 48 + 2 * i);
    bits |= static_cast<unsigned>(words[i] >> 12) << (4 * i);
  }
  const float d = f16_to_f32(static_cast<uint16_t>(bits));
  for (int i = 0; i < 32; ++i) {
    const int high = nibble(b + 32, i), group = i / 2;
    const float scale = d * static_cast<float>(2 * (words[group / 4] >> (group % 4 * 3) & 7) + 1);
    shifted8(kGridIQ1S[b[i] | (high & 7) << 8], scale, high & 8 ? -0.125f : 0.125f, out + 8 * i);
  }
}

void iq4_nl(const uint8_t* b, float* out) {  // d, 16 bytes: low nibbles are elements 0-15
  const float d = half_at(b);
  for (int l = 0; l < 16; ++l) {
    out[l] = d * static_cast<float>(kLevelsIQ4[b[2 + l] & 15]);
    out[16 + l] = d * static_cast<float>(kLevelsIQ4[b[2 + l] >> 4]);
  }
}

void iq4_xs(const uint8_t* b, float* out) {  // d, 8 x 2 high scale bits, 8 x 4 low ones, then 16 bytes per 32
  const float d = half_at(b);
  const uint16_t high = load_le<uint16_t>(b + 2);
  for (int g = 0; g < 8; ++g) {
    const int scale = nibble(b + 4, g) | (high >> (2 * g) & 3) << 4;
    const float dl = d * static_cast<float>(scale - 32);
    for (int l = 0; l < 16; ++l) {
      const uint8_t packed = b[8 + 16 * g + l];
      out[32 * g + l] = dl * static_cast<float>(kLevelsIQ4[packed & 15]);
      out[32 * g + 16 + l] = dl * static_cast<float>(kLevelsIQ4[packed >> 4]);
    }
  }
}

}  // namespace transom::blocks
