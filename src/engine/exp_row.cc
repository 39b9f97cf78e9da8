// logit_row::exp_weights: x = n ln2 + r with |r| <= ln2/2, exp(r) by a polynomial (coefficients of Cephes' expf), 2^n by
// the exponent bits. In a file of its own for its compiler options: vectorized, and without contraction of a*b+c, which
// would give other bits on machines with fused multiply-add.
#include <bit>
#include <cstdint>

#include "engine/logit_row.h"

namespace transom::logit_row {
namespace {

// exp(x) for x <= 0.
inline float exp_nonpositive(float x) {
  constexpr float kLowest = -87.0f;           // below it the result would leave the normal floats
  constexpr float kRound = 12582912.0f;       // 1.5 * 2^23: adding it rounds to an integer in the low mantissa bits
  const float y = x > kLowest ? x : kLowest;  // also for -inf
  const float shifted = y * 1.44269504f + kRound;
  const float n = shifted - kRound;
  const float r = (y - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = (p * r) * r + r + 1.0f;
  const uint32_t exponent = (std::bit_cast<uint32_t>(shifted) << 23) + 0x3F800000u;
  const float result = p * std::bit_cast<float>(exponent);
  return x < kLowest ? 0.0f : result;
}

}  // namespace

void exp_weights(std::span<const float> x, float max, float inverse_temperature, std::span<float> out) {
  const float* in = x.data();
  float* to = out.data();
  for (size_t i = 0; i < x.size(); ++i) to[i] = exp_nonpositive((in[i] - max) * inverse_temperature);
}

}  // namespace transom::logit_row
