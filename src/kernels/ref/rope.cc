// Reference rotary position embedding (Su et al. 2021): the table of cos and sin, shared by all layers of a step, and the
// rotation of query and key heads.
#include <cmath>

#include "kernels/ref/row.h"

namespace transom::ref {

void rope_table(const RopeTableArgs& a, Stream& s) {
  parallel(s, a.cos.rows, [&](int64_t t) {
    for (int64_t i = 0; i < a.cos.cols; ++i) {
      const float angle = static_cast<float>(a.positions[(a.axis ? a.axis[i] * a.cos.rows : 0) + t]) * a.inv_freq[i];
      a.cos.row<float>(t)[i] = static_cast<float>(std::cos(double{angle}) * a.scale);
      a.sin.row<float>(t)[i] = static_cast<float>(std::sin(double{angle}) * a.scale);
    }
  });
}

void rope(const RopeArgs& a, Stream& s) {
  const int64_t head_dim = a.x.cols / a.heads, half = a.cos.cols;
  parallel(s, a.x.rows, [&](int64_t t) {
    for (int64_t h = 0; h < a.heads; ++h)
      for (int64_t i = 0; i < half; ++i) {
        const int64_t first = h * head_dim + a.first + (a.interleaved ? 2 * i : i);
        const int64_t second = h * head_dim + a.first + (a.interleaved ? 2 * i + 1 : i + half);
        const double x = load(a.x, t, first), y = load(a.x, t, second);
        const double c = load(a.cos, t, i), n = a.inverse ? -load(a.sin, t, i) : load(a.sin, t, i);
        store(a.x, t, first, x * c - y * n);
        store(a.x, t, second, y * c + x * n);
      }
  });
}

}  // namespace transom::ref
