// Narrow floats: every pattern widened, and rounding to nearest even against torch's (data/half.bin, made by
// scripts/make_quant_goldens.py).
#include "tensor/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/file.h"

namespace transom {
namespace {

uint32_t bits(float f) { return std::bit_cast<uint32_t>(f); }

TEST(Half, WidensEveryBinary16) {
  for (uint32_t h = 0; h < 65536; ++h) {
    const int exponent = h >> 10 & 31, mantissa = h & 1023;
    const double sign = h & 0x8000 ? -1 : 1;
    const float got = f16_to_f32(static_cast<uint16_t>(h));
    if (exponent == 31 && mantissa) {
      EXPECT_TRUE(std::isnan(got)) << h;
      EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(got)))) << h;
      continue;
    }
    const double want = exponent == 31  ? sign * INFINITY
                        : exponent == 0 ? sign * std::ldexp(mantissa, -24)
                                        : sign * std::ldexp(1024 + mantissa, exponent - 25);
    ASSERT_EQ(bits(got), bits(static_cast<float>(want))) << h;
    ASSERT_EQ(f32_to_f16(got), h);
  }
}

TEST(Half, NanStaysNan) {
  for (const uint32_t b : {0x7f800001u, 0x7fffffffu, 0xff800001u, 0xffffffffu}) {
    EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::bit_cast<float>(b)))));
    EXPECT_TRUE(std::isnan(f16_to_f32(f32_to_f16(std::bit_cast<float>(b)))));
  }
}

TEST(Half, MatchesTorch) {
  const std::string golden = read_file(TRANSOM_SOURCE_DIR "/tests/tensor/data/half.bin");
  ASSERT_EQ(golden.size(), size_t{4 * 256 * 4 + 4096 * (4 + 2 + 2)});
  const char* p = golden.data();
  float (*const widen[])(uint8_t) = {f8e4m3_to_f32, f8e5m2_to_f32, f8e4m3fnuz_to_f32, f8e5m2fnuz_to_f32};
  for (int t = 0; t < 4; ++t)
    for (int v = 0; v < 256; ++v, p += 4) {
      const float want = load_le<float>(p), got = widen[t](static_cast<uint8_t>(v));
      if (std::isnan(want)) EXPECT_TRUE(std::isnan(got)) << t << " " << v;
      else EXPECT_EQ(bits(got), bits(want)) << t << " " << v;
    }
  for (int i = 0; i < 4096; ++i) {
    const float x = load_le<float>(p + 4 * i);
    EXPECT_EQ(f32_to_f16(x), load_le<uint16_t>(p + 4096 * 4 + 2 * i)) << x;
    EXPECT_EQ(f32_to_bf16(x), load_le<uint16_t>(p + 4096 * 6 + 2 * i)) << x;
  }
}

TEST(Half, ScalesAndFourBits) {
  EXPECT_EQ(e8m0_to_f32(127), 1.f);
  EXPECT_EQ(e8m0_to_f32(0), 0x1p-127f);
  EXPECT_EQ(e8m0_to_f32(254), 0x1p127f);
  EXPECT_TRUE(std::isnan(e8m0_to_f32(255)));
  const float want[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(f4_to_f32(static_cast<uint8_t>(i)), want[i]);
    EXPECT_EQ(f4_to_f32(static_cast<uint8_t>(i | 8)), -want[i]);
  }
}

}  // namespace
}  // namespace transom
