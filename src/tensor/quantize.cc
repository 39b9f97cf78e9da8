// quantize_row: see quant.h. The encoders of the 32-element blocks choose a scale from the block's extremes and round each
// element to a level (ggml's reference rounding: truncation of x + 0.5, for Q8_0 halves away from zero).
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "tensor/half.h"
#include "tensor/quant.h"

namespace transom {
namespace {

constexpr int kBlock = 32;

// Truncation to an integer in [0, top]; NaN gives 0.
int clamp_level(float x, int top) { return x >= 0.f ? static_cast<int>(std::min(x, static_cast<float>(top))) : 0; }

// The element of largest magnitude, the first of equals, with its sign.
float extreme(const float* x) {
  float best = x[0];
  for (int i = 1; i < kBlock; ++i)
    if (std::fabs(x[i]) > std::fabs(best)) best = x[i];
  return best;
}

void pack(const int* q, uint8_t* nibbles, uint8_t* high) {
  for (int l = 0; l < 16; ++l) nibbles[l] = static_cast<uint8_t>((q[l] & 15) | (q[16 + l] & 15) << 4);
  if (!high) return;
  uint32_t bits = 0;
  for (int l = 0; l < kBlock; ++l) bits |= static_cast<uint32_t>(q[l] >> 4 & 1) << l;
  store_le(high, bits);
}

// Q4_0 and Q5_0: the extreme element maps to level 0, so d = extreme / -half.
void encode_symmetric(const float* x, int half, uint8_t* b) {
  const float d = extreme(x) / static_cast<float>(-half);
  const float inverse = d == 0.f ? 0.f : 1.f / d;
  int q[kBlock];
  for (int i = 0; i < kBlock; ++i) q[i] = clamp_level(x[i] * inverse + (static_cast<float>(half) + 0.5f), 2 * half - 1);
  store_le(b, f32_to_f16(d));
  if (half == 8) pack(q, b + 2, nullptr);
  else pack(q, b + 6, b + 2);
}

// Q4_1 and Q5_1: levels 0..top between the block's minimum and maximum.
void encode_range(const float* x, int top, uint8_t* b) {
  const auto [lo, hi] = std::minmax_element(x, x + kBlock);
  const float d = (*hi - *lo) / static_cast<float>(top);
  const float inverse = d == 0.f ? 0.f : 1.f / d;
  int q[kBlock];
  for (int i = 0; i < kBlock; ++i) q[i] = clamp_level((x[i] - *lo) * inverse + 0.5f, top);
  store_le(b, f32_to_f16(d));
  store_le(b + 2, f32_to_f16(*lo));
  if (top == 15) pack(q, b + 4, nullptr);
  else pack(q, b + 8, b + 4);
}

void encode_q8_0(const float* x, uint8_t* b) {
  const float d = std::fabs(extreme(x)) / 127.f;
  const float inverse = d == 0.f ? 0.f : 1.f / d;
  store_le(b, f32_to_f16(d));
  for (int i = 0; i < kBlock; ++i) {
    const float r = std::round(x[i] * inverse);
    b[2 + i] = static_cast<uint8_t>(r > -128.f && r < 128.f ? static_cast<int8_t>(r) : int8_t{0});
  }
}

void encode_block(DType t, const float* x, uint8_t* b) {
  switch (t) {
    case DType::kQ4_0: return encode_symmetric(x, 8, b);
    case DType::kQ5_0: return encode_symmetric(x, 16, b);
    case DType::kQ4_1: return encode_range(x, 15, b);
    case DType::kQ5_1: return encode_range(x, 31, b);
    default: return encode_q8_0(x, b);
  }
}

}  // namespace

void quantize_row(DType t, const float* src, void* dst, int64_t n) {
  const int64_t bytes = row_bytes(t, n);
  auto* out = static_cast<uint8_t*>(dst);
  switch (t) {
    case DType::kF32: std::memcpy(dst, src, static_cast<size_t>(bytes)); return;
    case DType::kF16:
      for (int64_t i = 0; i < n; ++i) store_le(out + 2 * i, f32_to_f16(src[i]));
      return;
    case DType::kBF16:
      for (int64_t i = 0; i < n; ++i) store_le(out + 2 * i, f32_to_bf16(src[i]));
      return;
    case DType::kQ4_0: case DType::kQ4_1: case DType::kQ5_0: case DType::kQ5_1: case DType::kQ8_0:
      for (int64_t i = 0; i < n; i += kBlock, out += info(t).bytes) encode_block(t, src + i, out);
      return;
    default:
      fail(Code::kUnsupported, "quantize", "expected F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1 or Q8_0, got {}", name(t));
  }
}

}  // namespace transom
