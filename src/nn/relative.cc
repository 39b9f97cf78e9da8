// Buckets, RelativeBias: see relative.h.
#include "nn/relative.h"

#include <algorithm>
#include <cmath>

namespace transom::nn {

// The logarithms are taken in float, as torch does: some quotients lie on a border.
Buckets t5_buckets(int64_t buckets, int64_t max_distance, bool causal) {
  const auto half = static_cast<int32_t>(causal ? buckets : buckets / 2), exact = half / 2;
  const float range = std::log(static_cast<float>(max_distance) / static_cast<float>(exact));
  Buckets b{.bucket = {}, .count = static_cast<int32_t>(buckets)};
  for (int64_t d = -max_distance; d <= max_distance; ++d) {
    const auto n = static_cast<int32_t>(std::abs(d));
    const float log = std::log(static_cast<float>(n) / static_cast<float>(exact)) / range * static_cast<float>(half - exact);
    const int32_t far = std::min(exact + static_cast<int32_t>(std::max(log, 0.f)), half - 1);
    if (causal && d > 0) b.bucket.push_back(0);
    else b.bucket.push_back((d > 0 ? half : 0) + (n < exact ? n : far));
  }
  return b;
}

Buckets deberta_buckets(int64_t span, int64_t max_position) {
  const int64_t middle = span / 2, side = span > 0 ? span : max_position;
  const float range = std::log(static_cast<float>(max_position - 1) / static_cast<float>(middle));
  const auto place = [&](int64_t n) {  // of a distance n >= 0
    if (span <= 0 || n <= middle) return n;
    const float log = std::log(static_cast<float>(n) / static_cast<float>(middle)) / range;
    return static_cast<int64_t>(std::ceil(log * static_cast<float>(middle - 1))) + middle;
  };
  Buckets b{.bucket = {}, .count = static_cast<int32_t>(2 * side)};
  for (int64_t d = -max_position; d <= max_position; ++d) {
    const int64_t at = d > 0 ? -place(d) : place(-d);
    b.bucket.push_back(static_cast<int32_t>(std::clamp<int64_t>(at + side, 0, 2 * side - 1)));
  }
  return b;
}

ops::Relative RelativeBias::scores(Ctx& cx) const {
  return {.bucket = ops::upload(cx, buckets.bucket), .reach = buckets.reach(), .buckets = buckets.count, .by_head = ops::whole_table(cx, *table)};
}

}  // namespace transom::nn
