// See logit_row.h. Loops over kLanes partial results: the fixed order of additions, in a form that compilers vectorize.
#include "engine/logit_row.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>

namespace transom::logit_row {
namespace {

constexpr size_t kLanes = 16;
constexpr float kInf = std::numeric_limits<float>::infinity();

constexpr size_t kChunk = 4 * kLanes;

// Whether one of kChunk values is >= bar.
bool any_at_least(const float* x, float bar) {
  std::array<uint32_t, kLanes> lane{};
  for (size_t i = 0; i < kChunk; i += kLanes)
    for (size_t l = 0; l < kLanes; ++l) lane[l] |= x[i + l] >= bar ? 1u : 0u;
  uint32_t any = 0;
  for (uint32_t v : lane) any |= v;
  return any != 0;
}

double sum_block(const float* x, size_t n) {
  std::array<float, kLanes> lane{};
  size_t i = 0;
  for (; i + kLanes <= n; i += kLanes)
    for (size_t l = 0; l < kLanes; ++l) lane[l] += x[i + l];
  double sum = 0;
  for (float v : lane) sum += static_cast<double>(v);
  for (; i < n; ++i) sum += static_cast<double>(x[i]);
  return sum;
}

}  // namespace

Scan scan(std::span<const float> x) {
  std::array<float, kLanes> max;
  std::array<uint32_t, kLanes> wrong{};
  max.fill(-kInf);
  size_t i = 0;
  for (; i + kLanes <= x.size(); i += kLanes)
    for (size_t l = 0; l < kLanes; ++l) {
      const float v = x[i + l];
      max[l] = v > max[l] ? v : max[l];
      wrong[l] |= v < kInf ? 0u : 1u;
    }
  Scan out{-kInf, true};
  for (; i < x.size(); ++i) {
    out.max = std::max(out.max, x[i]);
    out.valid &= x[i] < kInf;
  }
  for (size_t l = 0; l < kLanes; ++l) {
    out.max = std::max(out.max, max[l]);
    out.valid &= wrong[l] == 0;
  }
  return out;
}

size_t find(std::span<const float> x, float value) {
  size_t i = 0;
  for (; i + kLanes <= x.size(); i += kLanes) {
    uint32_t any = 0;
    for (size_t l = 0; l < kLanes; ++l) any |= x[i + l] == value ? 1u : 0u;
    if (any) break;
  }
  while (i < x.size() && x[i] != value) ++i;
  return i;
}

double block_sums(std::span<const float> x, std::vector<double>& sums) {
  sums.resize((x.size() + kBlock - 1) / kBlock);
  double total = 0;
  for (size_t b = 0; b < sums.size(); ++b) {
    sums[b] = sum_block(x.data() + b * kBlock, std::min(kBlock, x.size() - b * kBlock));
    total += sums[b];
  }
  return total;
}

double log_sum_exp(std::span<const float> x, float max) {
  std::array<float, kBlock> weights;
  double total = 0;
  for (size_t i = 0; i < x.size(); i += kBlock) {
    const size_t n = std::min(kBlock, x.size() - i);
    exp_weights(x.subspan(i, n), max, 1.0f, std::span(weights).first(n));
    total += sum_block(weights.data(), n);
  }
  return static_cast<double>(max) + std::log(total);
}

void at_least(std::span<const float> x, float bar, std::vector<int32_t>& indices) {
  for (size_t i = 0; i < x.size();) {
    const size_t end = std::min(i + kChunk, x.size());
    if (end - i == kChunk && !any_at_least(x.data() + i, bar)) i = end;
    for (; i < end; ++i)
      if (x[i] >= bar) indices.push_back(static_cast<int32_t>(i));
  }
}

float kth_largest(std::span<const float> x, size_t k, std::vector<float>& scratch) {
  // Keeps what may be among the k largest so far; trimmed to k when full, which raises the bar for what comes.
  const size_t capacity = std::min(x.size(), 2 * k + 256);
  const auto trim = [&] {
    const auto kth = scratch.begin() + static_cast<std::ptrdiff_t>(k - 1);
    std::nth_element(scratch.begin(), kth, scratch.end(), std::greater<>());
    scratch.resize(k);
    return scratch.back();
  };
  scratch.clear();
  scratch.reserve(capacity);
  size_t i = 0;
  for (; i < k; ++i) scratch.push_back(x[i]);
  float bar = -kInf;
  while (i < x.size()) {
    if (i + kChunk <= x.size() && !any_at_least(x.data() + i, bar)) {
      i += kChunk;
      continue;
    }
    for (const size_t end = std::min(i + kChunk, x.size()); i < end; ++i) {
      if (!(x[i] > bar)) continue;
      scratch.push_back(x[i]);
      if (scratch.size() == capacity) bar = trim();
    }
  }
  return trim();
}

}  // namespace transom::logit_row
