// Tables of the IQ formats (facts of the GGUF format). A grid word holds one code point: 8 elements of 2 bits (IQ1, IQ2)
// or 4 elements of 4 bits (IQ3), from the low bits up; each field indexes the format's list of magnitudes.
#pragma once

#include <bit>
#include <cstdint>

namespace transom::blocks {

extern const uint16_t kGridIQ2XXS[256];
extern const uint16_t kGridIQ2XS[512];
extern const uint16_t kGridIQ2S[1024];
extern const uint16_t kGridIQ3XXS[256];
extern const uint16_t kGridIQ3S[512];
extern const uint16_t kGridIQ1S[2048];  // of IQ1_S and IQ1_M

inline constexpr float kMagnitudesIQ2[4] = {8, 25, 43, 0};  // index 3 does not occur
inline constexpr float kMagnitudesIQ3XXS[8] = {4, 12, 20, 28, 36, 44, 52, 62};
inline constexpr float kMagnitudesIQ3S[8] = {1, 3, 5, 7, 9, 11, 13, 15};
inline constexpr float kMagnitudesIQ1[4] = {-1, 0, 1, 0};

// The 16 levels of IQ4_NL and IQ4_XS.
inline constexpr int8_t kLevelsIQ4[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

// Eight sign bits from seven stored ones: the eighth makes their number even.
inline uint8_t even_signs(uint32_t seven) {
  return static_cast<uint8_t>(seven | static_cast<uint32_t>(std::popcount(seven) & 1) << 7);
}

}  // namespace transom::blocks
