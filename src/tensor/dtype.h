// Element types and the block-quantized formats of GGUF, with their geometry. A DType says how `block` consecutive
// elements of a row are stored in `bytes` bytes; types of whole bytes have block 1. Sources: safetensors' dtype list, the GGUF
// specification and ggml's block structs.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace transom {

enum class DType : uint8_t {
  kF64, kF32, kF16, kBF16, kF8E4M3, kF8E5M2,
  kF8E4M3Fnuz, kF8E5M2Fnuz, kF8E8M0, kF6E2M3, kF6E3M2, kF4, kC64,
  kI64, kI32, kI16, kI8, kU64, kU32, kU16, kU8, kBool,
  // GGUF block formats
  kQ4_0, kQ4_1, kQ5_0, kQ5_1, kQ8_0, kQ8_1,
  kQ2_K, kQ3_K, kQ4_K, kQ5_K, kQ6_K, kQ8_K,
  kIQ1_S, kIQ1_M, kIQ2_XXS, kIQ2_XS, kIQ2_S, kIQ3_XXS, kIQ3_S, kIQ4_NL, kIQ4_XS,
  kTQ1_0, kTQ2_0, kMXFP4,
  kCoded,  // a matrix made of several tensors (tensor/coded.h)
  kCount,
};

struct DTypeInfo {
  std::string_view name;  // as printed: "F32", "BF16", "Q4_K"
  int block;              // elements per block
  int bytes;              // bytes per block
};

const DTypeInfo& info(DType t);
inline std::string_view name(DType t) { return info(t).name; }
inline bool is_quantized(DType t) { return t >= DType::kQ4_0 && t < DType::kCount; }
inline bool is_float(DType t) { return t <= DType::kBF16; }  // the types that activations may have, and F64

// Bytes of a row of `n` elements; n must be a multiple of the block.
int64_t row_bytes(DType t, int64_t n);

// "F32", "float32", "bfloat16", "Q4_K" …, any case; nullopt if unknown.
std::optional<DType> parse_dtype(std::string_view s);

}  // namespace transom
