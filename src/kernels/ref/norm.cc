// Reference normalisations, with the residual addition they fuse.
//   rms_norm:   y = s / sqrt(mean(s²) + eps) * (w + offset)          (Zhang & Sennrich 2019)
//   layer_norm: y = (s - mean) / sqrt(var + eps) * (w + offset) + b  (Ba et al. 2016)
#include <cmath>
#include <vector>

#include "kernels/ref/row.h"

namespace transom::ref {
namespace {

void add_residual(const NormArgs& a, int64_t t, std::vector<double>& s) {
  s.resize(a.x.cols);
  for (int64_t c = 0; c < a.x.cols; ++c) s[c] = load(a.x, t, c);
  if (a.pending)
    for (int64_t c = 0; c < a.x.cols; ++c) s[c] += a.pending_scale * load(a.pending, t, c);
  if (a.sum) {
    for (int64_t c = 0; c < a.x.cols; ++c) store(a.sum, t, c, s[c]);
    for (int64_t c = 0; c < a.x.cols; ++c) s[c] = load(a.sum, t, c);  // what the next layers see is what is normed
  }
}

struct Moments {
  double mean, rstd;
};
Moments moments(const double* s, int64_t d, double eps, bool centred) {
  double mean = 0, sq = 0;
  if (centred) {
    for (int64_t i = 0; i < d; ++i) mean += s[i];
    mean /= static_cast<double>(d);
  }
  for (int64_t i = 0; i < d; ++i) sq += (s[i] - mean) * (s[i] - mean);
  return {mean, 1.0 / std::sqrt(sq / static_cast<double>(d) + eps)};
}

void norm(const NormArgs& a, Stream& stream, bool centred) {
  const int64_t d = a.x.cols / a.groups;
  parallel(stream, a.x.rows, [&](int64_t t) {
    std::vector<double> s;
    add_residual(a, t, s);
    for (int64_t g = 0; g < a.groups; ++g) {
      const double* sg = s.data() + g * d;
      const Moments m = moments(sg, d, a.eps, centred);
      for (int64_t i = 0; i < d; ++i) {
        const int64_t at = a.whole_weight ? g * d + i : i;
        const double w = a.weight ? double{a.weight[at]} + a.weight_offset : 1.0;
        store(a.y, t, g * d + i, (sg[i] - m.mean) * m.rstd * w + (a.bias ? a.bias[at] : 0.0));
      }
    }
  });
}

// With n_i = (s_i - mean) * rstd and g_i = dy_i * w_i: ds = rstd * (g - [mean(g)] - n * mean(g n)).
void norm_grad(const NormGradArgs& a, bool centred) {
  const int64_t d = a.s.cols / a.groups;
  std::vector<double> s(d), dw(a.whole_weight ? a.s.cols : d, 0.0), db(dw);
  for (int64_t t = 0; t < a.s.rows; ++t)
    for (int64_t g = 0; g < a.groups; ++g) {
      const int64_t first = a.whole_weight ? g * d : 0;
      const auto weight = [&](int64_t i) { return a.weight ? double{a.weight[first + i]} + a.weight_offset : 1.0; };
      for (int64_t i = 0; i < d; ++i) s[i] = load(a.s, t, g * d + i);
      const Moments m = moments(s.data(), d, a.eps, centred);
      double mean_g = 0, mean_gn = 0;
      for (int64_t i = 0; i < d; ++i) {
        const double dy = load(a.dy, t, g * d + i), n = (s[i] - m.mean) * m.rstd;
        mean_g += dy * weight(i) / static_cast<double>(d);
        mean_gn += dy * weight(i) * n / static_cast<double>(d);
        dw[first + i] += dy * n;
        db[first + i] += dy;
      }
      if (!centred) mean_g = 0;
      if (a.ds_acc)
        for (int64_t i = 0; i < d; ++i) {
          const double n = (s[i] - m.mean) * m.rstd;
          accumulate(a.ds_acc, t, g * d + i, m.rstd * (load(a.dy, t, g * d + i) * weight(i) - mean_g - n * mean_gn));
        }
    }
  for (size_t i = 0; i < dw.size(); ++i) {
    if (a.dw_acc) a.dw_acc[i] += static_cast<float>(dw[i]);
    if (a.db_acc) a.db_acc[i] += static_cast<float>(db[i]);
  }
}

}  // namespace

void rms_norm(const NormArgs& a, Stream& s) { norm(a, s, false); }
void layer_norm(const NormArgs& a, Stream& s) { norm(a, s, true); }
void rms_norm_grad(const NormGradArgs& a, Stream&) { norm_grad(a, false); }
void layer_norm_grad(const NormGradArgs& a, Stream&) { norm_grad(a, true); }

}  // namespace transom::ref
