// Decoders of the simple blocks of 32 (one scale, perhaps one minimum), of MXFP4 and of the ternary blocks.
// Packing of a 4-bit block: byte l holds element l (low nibble) and element 16 + l (high).
#include "tensor/half.h"
#include "tensor/quant.h"

namespace transom::blocks {
namespace {

float half_at(const uint8_t* p) { return f16_to_f32(load_le<uint16_t>(p)); }

}  // namespace

void q4_0(const uint8_t* b, float* out) {  // d, 16 bytes; d * (q - 8)
  const float d = half_at(b);
  for (int l = 0; l < 16; ++l) {
    out[l] = d * static_cast<float>((b[2 + l] & 15) - 8);
    out[16 + l] = d * static_cast<float>((b[2 + l] >> 4) - 8);
  }
}

void q4_1(const uint8_t* b, float* out) {  // d, m, 16 bytes; d * q + m
  const float d = half_at(b), m = half_at(b + 2);
  for (int l = 0; l < 16; ++l) {
    out[l] = d * static_cast<float>(b[4 + l] & 15) + m;
    out[16 + l] = d * static_cast<float>(b[4 + l] >> 4) + m;
  }
}

void q5_0(const uint8_t* b, float* out) {  // d, 32 high bits, 16 bytes; d * (q - 16)
  const float d = half_at(b);
  const uint32_t high = load_le<uint32_t>(b + 2);
  for (int l = 0; l < 16; ++l) {
    const int q0 = (b[6 + l] & 15) | static_cast<int>(high >> l & 1) << 4;
    const int q1 = (b[6 + l] >> 4) | static_cast<int>(high >> (16 + l) & 1) << 4;
    out[l] = d * static_cast<float>(q0 - 16);
    out[16 + l] = d * static_cast<float>(q1 - 16);
  }
}

void q5_1(const uint8_t* b, float* out) {  // d, m, 32 high bits, 16 bytes; d * q + m
  const float d = half_at(b), m = half_at(b + 2);
  const uint32_t high = load_le<uint32_t>(b + 4);
  for (int l = 0; l < 16; ++l) {
    const int q0 = (b[8 + l] & 15) | static_cast<int>(high >> l & 1) << 4;
    const int q1 = (b[8 + l] >> 4) | static_cast<int>(high >> (16 + l) & 1) << 4;
    out[l] = d * static_cast<float>(q0) + m;
    out[16 + l] = d * static_cast<float>(q1) + m;
  }
}

void q8_0(const uint8_t* b, float* out) {  // d, 32 int8; d * q
  const float d = half_at(b);
  for (int l = 0; l < 32; ++l) out[l] = d * static_cast<float>(static_cast<int8_t>(b[2 + l]));
}

void q8_1(const uint8_t* b, float* out) {  // d, d * sum(q), 32 int8; d * q
  const float d = half_at(b);
  for (int l = 0; l < 32; ++l) out[l] = d * static_cast<float>(static_cast<int8_t>(b[4 + l]));
}

void mxfp4(const uint8_t* b, float* out) {  // E8M0 exponent, 16 bytes of E2M1; 2^(e - 127) * v, v kept doubled
  static constexpr int8_t kDoubled[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
  const uint32_t e = b[0];
  const float d = std::bit_cast<float>(e < 2 ? 0x00200000u << e : (e - 1) << 23);  // half of the scale, also for e = 255
  for (int l = 0; l < 16; ++l) {
    out[l] = d * static_cast<float>(kDoubled[b[1 + l] & 15]);
    out[16 + l] = d * static_cast<float>(kDoubled[b[1 + l] >> 4]);
  }
}

// Five base-3 digits a byte, stored as ceil(value * 256 / 243): the leading digit is the integer part of byte * 3 / 256,
// the digit n places further is that of (byte * 3^n) mod 256. 48 bytes hold 5 digits each, the last 4 hold 4; then d.
void tq1_0(const uint8_t* b, float* out) {
  static constexpr uint8_t kPow3[5] = {1, 3, 9, 27, 81};
  const float d = half_at(b + 52);
  const auto digits = [&](const uint8_t* bytes, int width, int places) {
    for (int n = 0; n < places; ++n)
      for (int l = 0; l < width; ++l) {
        const uint8_t shifted = static_cast<uint8_t>(bytes[l] * kPow3[n]);
        *out++ = d * static_cast<float>((shifted * 3 >> 8) - 1);
      }
  };
  digits(b, 32, 5);
  digits(b + 32, 16, 5);
  digits(b + 48, 4, 4);
}

void tq2_0(const uint8_t* b, float* out) {  // 64 bytes of 2-bit values, d; d * (q - 1)
  const float d = half_at(b + 64);
  for (int e = 0; e < 256; ++e) {
    const int q = b[e / 128 * 32 + e % 32] >> (e / 32 % 4 * 2) & 3;
    out[e] = d * static_cast<float>(q - 1);
  }
}

}  // namespace transom::blocks
