// Passes over one row of logits (a vocabulary, up to 262,144 floats). Each is one or two linear, vectorizable loops with
// a fixed order of additions and an exponential of our own, so that a row gives the same bits on every machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace transom::logit_row {

struct Scan {
  float max;   // -inf for an empty row
  bool valid;  // neither NaN nor +inf in the row; when false, max means nothing
};
Scan scan(std::span<const float> x);

// First index of `value`; x.size() when absent.
size_t find(std::span<const float> x, float value);

// out[i] = exp((x[i] - max) * inverse_temperature) for max >= x[i]; relative error < 3e-7; results below exp(-87) are 0.
// `out` has x's size.
void exp_weights(std::span<const float> x, float max, float inverse_temperature, std::span<float> out);

// Sums of consecutive blocks of kBlock into `sums` (resized); returns their sum.
inline constexpr size_t kBlock = 256;
double block_sums(std::span<const float> x, std::vector<double>& sums);

// log sum_i exp(x[i]), given x's maximum.
double log_sum_exp(std::span<const float> x, float max);

// The k-th largest value, 1 <= k <= x.size(). No NaN in x. `scratch` is overwritten.
float kth_largest(std::span<const float> x, size_t k, std::vector<float>& scratch);

// Appends the indices of all x[i] >= bar, ascending. Fast where they are few.
void at_least(std::span<const float> x, float bar, std::vector<int32_t>& indices);

}  // namespace transom::logit_row
