// Block formats against the gguf package, bit for bit (goldens by scripts/make_quant_goldens.py).
#include "tensor/quant.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "tensor/half.h"
#include "transom/error.h"

namespace transom {
namespace {

struct Golden {
  DType type;
  std::vector<float> values;
  std::vector<uint8_t> raw;
};

std::vector<Golden> read_goldens(const std::string& file, bool values_first) {
  const std::string data = read_file(TRANSOM_SOURCE_DIR "/tests/tensor/data/" + file);
  std::vector<Golden> out;
  for (size_t at = 0; at < data.size();) {
    const size_t length = static_cast<uint8_t>(data[at]);
    const auto type = parse_dtype(std::string_view(data).substr(at + 1, length));
    EXPECT_TRUE(type.has_value());
    at += 1 + length;
    const auto n = load_le<uint32_t>(&data[at]), bytes = load_le<uint32_t>(&data[at + 4]);
    at += 8;
    Golden g{*type, std::vector<float>(n), std::vector<uint8_t>(bytes)};
    const size_t values_at = values_first ? at : at + bytes, raw_at = values_first ? at + 4 * size_t{n} : at;
    std::memcpy(g.values.data(), &data[values_at], 4 * size_t{n});
    std::memcpy(g.raw.data(), &data[raw_at], bytes);
    at += 4 * size_t{n} + bytes;
    out.push_back(std::move(g));
  }
  return out;
}

TEST(Quant, DecodesEveryBlockFormatAsGguf) {
  std::set<DType> seen;
  for (const Golden& g : read_goldens("quant_decode.bin", false)) {
    SCOPED_TRACE(name(g.type));
    seen.insert(g.type);
    const auto n = static_cast<int64_t>(g.values.size());
    ASSERT_EQ(row_bytes(g.type, n), static_cast<int64_t>(g.raw.size()));
    std::vector<uint8_t> shifted(g.raw.size() + 1);  // at an odd address too
    std::memcpy(shifted.data() + 1, g.raw.data(), g.raw.size());
    std::vector<float> got(g.values.size());
    dequantize_row(g.type, shifted.data() + 1, got.data(), n);
    for (size_t i = 0; i < got.size(); ++i)
      ASSERT_EQ(std::bit_cast<uint32_t>(got[i]), std::bit_cast<uint32_t>(g.values[i]))
          << "element " << i << ": " << got[i] << " vs " << g.values[i];
  }
  for (int t = static_cast<int>(DType::kQ4_0); t < static_cast<int>(DType::kCount); ++t)
    if (static_cast<DType>(t) != DType::kCoded) EXPECT_TRUE(seen.contains(static_cast<DType>(t))) << name(static_cast<DType>(t));
}

TEST(Quant, EncodesAsGguf) {
  for (const Golden& g : read_goldens("quant_encode.bin", true)) {
    SCOPED_TRACE(name(g.type));
    std::vector<uint8_t> got(g.raw.size());
    quantize_row(g.type, g.values.data(), got.data(), static_cast<int64_t>(g.values.size()));
    for (size_t i = 0; i < got.size(); ++i)
      ASSERT_EQ(got[i], g.raw[i]) << "block " << i / info(g.type).bytes << " byte " << i % info(g.type).bytes;
  }
}

TEST(Quant, PlainTypes) {
  const int32_t ints[2] = {-5, 1 << 20};
  float out[4];
  dequantize_row(DType::kI32, ints, out, 2);
  EXPECT_EQ(out[0], -5.f);
  EXPECT_EQ(out[1], 1048576.f);
  const uint8_t fours[2] = {0x72, 0x9f};
  dequantize_row(DType::kF4, fours, out, 4);
  EXPECT_EQ(out[0], 1.f);
  EXPECT_EQ(out[1], 6.f);
  EXPECT_EQ(out[2], -6.f);
  EXPECT_EQ(out[3], -0.5f);
}

TEST(Quant, RefusesWhatItCannotDo) {
  float x[256] = {};
  EXPECT_FALSE(can_dequantize(DType::kC64));
  EXPECT_THROW(dequantize_row(DType::kC64, x, x, 1), Error);
  EXPECT_THROW(dequantize_row(DType::kQ4_K, x, x, 32), Error);  // not a whole block
  EXPECT_THROW(quantize_row(DType::kQ4_K, x, x, 256), Error);
}

// NaN and infinite inputs have no right answer, but must not be undefined behaviour.
TEST(Quant, EncodesNonFiniteWithoutUndefinedBehaviour) {
  float x[32] = {NAN, INFINITY, -INFINITY, 1};
  uint8_t raw[64];
  for (const DType t : {DType::kQ4_0, DType::kQ4_1, DType::kQ5_0, DType::kQ5_1, DType::kQ8_0}) quantize_row(t, x, raw, 32);
}

}  // namespace
}  // namespace transom
