// DType table: see dtype.h.
#include "tensor/dtype.h"

#include <array>
#include <cctype>
#include <string>

#include "base/error.h"

namespace transom {
namespace {

constexpr std::array<DTypeInfo, static_cast<size_t>(DType::kCount)> kInfo = {{
    {"F64", 1, 8},       {"F32", 1, 4},       {"F16", 1, 2},      {"BF16", 1, 2},      {"F8_E4M3", 1, 1},
    {"F8_E5M2", 1, 1},   {"F8_E4M3FNUZ", 1, 1}, {"F8_E5M2FNUZ", 1, 1}, {"F8_E8M0", 1, 1}, {"F6_E2M3", 4, 3},
    {"F6_E3M2", 4, 3},   {"F4", 2, 1},        {"C64", 1, 8},
    {"I64", 1, 8},       {"I32", 1, 4},      {"I16", 1, 2},       {"I8", 1, 1},
    {"U64", 1, 8},       {"U32", 1, 4},       {"U16", 1, 2},      {"U8", 1, 1},        {"BOOL", 1, 1},
    {"Q4_0", 32, 18},    {"Q4_1", 32, 20},    {"Q5_0", 32, 22},   {"Q5_1", 32, 24},    {"Q8_0", 32, 34},
    {"Q8_1", 32, 36},    {"Q2_K", 256, 84},   {"Q3_K", 256, 110}, {"Q4_K", 256, 144},  {"Q5_K", 256, 176},
    {"Q6_K", 256, 210},  {"Q8_K", 256, 292},  {"IQ1_S", 256, 50}, {"IQ1_M", 256, 56},  {"IQ2_XXS", 256, 66},
    {"IQ2_XS", 256, 74}, {"IQ2_S", 256, 82},  {"IQ3_XXS", 256, 98}, {"IQ3_S", 256, 110}, {"IQ4_NL", 32, 18},
    {"IQ4_XS", 256, 136}, {"TQ1_0", 256, 54}, {"TQ2_0", 256, 66}, {"MXFP4", 32, 17},
    {"CODED", 1, 1},
}};

}  // namespace

const DTypeInfo& info(DType t) {
  CHECK(t < DType::kCount);
  return kInfo[static_cast<size_t>(t)];
}

int64_t row_bytes(DType t, int64_t n) {
  const DTypeInfo& i = info(t);
  CHECK(n % i.block == 0);
  return n / i.block * i.bytes;
}

std::optional<DType> parse_dtype(std::string_view s) {
  std::string up(s);
  for (char& c : up) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  if (up == "FLOAT32" || up == "FLOAT") return DType::kF32;
  if (up == "FLOAT16" || up == "HALF") return DType::kF16;
  if (up == "BFLOAT16") return DType::kBF16;
  if (up == "FLOAT64" || up == "DOUBLE") return DType::kF64;
  for (size_t i = 0; i < kInfo.size(); ++i)
    if (kInfo[i].name == up) return static_cast<DType>(i);
  return std::nullopt;
}

}  // namespace transom
