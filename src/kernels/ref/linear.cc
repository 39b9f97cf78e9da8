// Reference linear (of one weight, or of the routed experts') and embedding: y = alpha * x Wᵀ + bias + beta * y with every weight
// row dequantized once and products summed in double, in a fixed order of eight interleaved partial sums (so that a baseline
// compiler can vectorize it).
#include <vector>

#include "kernels/ref/row.h"
#include "tensor/quant.h"

namespace transom::ref {
namespace {

double dot(const double* a, const double* b, int64_t n) {
  double s[8] = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8)
    for (int j = 0; j < 8; ++j) s[j] += a[i + j] * b[i + j];
  for (; i < n; ++i) s[0] += a[i] * b[i];
  return ((s[0] + s[4]) + (s[1] + s[5])) + ((s[2] + s[6]) + (s[3] + s[7]));
}

// One weight row as doubles; `tmp` holds it as float.
void weight_row(const WeightView& w, int64_t r, std::vector<float>& tmp, std::vector<double>& out) {
  tmp.resize(w.cols);
  out.resize(w.cols);
  decode_row(w, r, 0, tmp.data(), w.cols);
  for (int64_t c = 0; c < w.cols; ++c) out[c] = tmp[c];
}

}  // namespace

void embedding(const EmbeddingArgs& a, Stream& s) {
  parallel(s, a.y.rows, [&](int64_t t) {
    std::vector<float> row(a.y.cols);
    decode_row(a.weight, a.ids[t], 0, row.data(), a.y.cols);
    for (int64_t c = 0; c < a.y.cols; ++c) store(a.y, t, c, double{row[c]} * a.scale);
  });
}

void linear(const LinearArgs& a, Stream& s) {
  const int64_t T = a.x.rows, K = a.x.cols;
  auto* x = reinterpret_cast<double*>(s.scratch(sizeof(double) * T * K));
  parallel(s, T, [&](int64_t t) {
    for (int64_t k = 0; k < K; ++k) x[t * K + k] = load(a.x, t, k);
  });
  s.team->run([&](int rank, int size) {
    std::vector<float> tmp;
    std::vector<double> w;
    for (const LinearSegment& g : a.segments) {
      const TeamRange range = team_range(g.weight.rows, rank, size);
      for (int64_t n = range.begin; n < range.end; ++n) {
        weight_row(g.weight, n, tmp, w);
        for (int64_t t = 0; t < T; ++t) {
          double y = a.alpha * dot(x + t * K, w.data(), K);
          if (g.bias) y += g.bias[n];
          if (a.beta != 0.f) y += a.beta * load(g.y, t, n);
          store(g.y, t, n, y);
        }
      }
    }
  });
}

void expert_linear(const ExpertLinearArgs& a, Stream& s) {
  const int64_t K = a.x.cols;
  auto* x = reinterpret_cast<double*>(s.scratch(sizeof(double) * a.x.rows * K));
  parallel(s, a.x.rows, [&](int64_t t) {
    for (int64_t k = 0; k < K; ++k) x[t * K + k] = load(a.x, t, k);
  });
  s.team->run([&](int rank, int size) {
    std::vector<float> tmp;
    std::vector<double> w;
    for (int64_t e = 0; e < a.experts; ++e)
      for (const ExpertSegment& g : a.segments) {
        if (a.offsets[e] == a.offsets[e + 1]) continue;
        CHECK(*g.weights[e] && g.weights[e]->cols == K && g.weights[e]->rows == g.y.cols);
        const float* bias = g.biases ? reinterpret_cast<const float*>(g.biases[e]->data) : nullptr;
        const TeamRange range = team_range(g.y.cols, rank, size);
        for (int64_t n = range.begin; n < range.end; ++n) {
          weight_row(*g.weights[e], n, tmp, w);
          for (int64_t i = a.offsets[e]; i < a.offsets[e + 1]; ++i)
            store(g.y, i, n, dot(x + (a.rows ? a.rows[i] : i) * K, w.data(), K) + (bias ? bias[n] : 0.f));
        }
      }
  });
}

void linear_grad_input(const LinearGradInputArgs& a, Stream& s) {
  parallel(s, a.dy.rows, [&](int64_t t) {
    std::vector<float> tmp;
    std::vector<double> w, sum(a.weight.cols, 0.0);
    for (int64_t n = 0; n < a.weight.rows; ++n) {
      weight_row(a.weight, n, tmp, w);
      const double d = load(a.dy, t, n);
      for (int64_t k = 0; k < a.weight.cols; ++k) sum[k] += d * w[k];
    }
    for (int64_t k = 0; k < a.weight.cols; ++k) accumulate(a.dx_acc, t, k, a.alpha * sum[k]);
  });
}

void linear_grad_weight(const LinearGradWeightArgs& a, Stream& s) {
  const int64_t T = a.x.rows, K = a.x.cols;
  parallel(s, a.dy.cols, [&](int64_t n) {
    std::vector<double> sum(K, 0.0);
    double bias = 0;
    for (int64_t t = 0; t < T; ++t) {
      const double d = load(a.dy, t, n);
      bias += d;
      if (a.dw_acc)
        for (int64_t k = 0; k < K; ++k) sum[k] += d * load(a.x, t, k);
    }
    if (a.dw_acc)
      for (int64_t k = 0; k < K; ++k) accumulate(a.dw_acc, n, k, a.alpha * sum[k]);
    if (a.db_acc) a.db_acc[n] += static_cast<float>(bias);
  });
}

void head_linear(const HeadLinearArgs& a, Stream& s) {
  const int64_t T = a.x.rows, K = a.weight.cols, xd = a.x.cols / a.heads, yd = a.y.cols / a.heads, every = a.weight.rows / a.heads;
  parallel(s, a.heads, [&](int64_t h) {
    std::vector<float> tmp;
    std::vector<double> w, sum(a.transposed ? T * K : 0, 0.0);
    for (int64_t r = 0; r < a.rows; ++r) {
      weight_row(a.weight, h * every + a.first + r, tmp, w);
      for (int64_t t = 0; t < T; ++t) {
        if (a.transposed) {
          const double x = load(a.x, t, h * xd + r);
          for (int64_t c = 0; c < K; ++c) sum[t * K + c] += x * w[c];
        } else {
          double y = 0;
          for (int64_t c = 0; c < K; ++c) y += load(a.x, t, h * xd + c) * w[c];
          store(a.y, t, h * yd + r, y);
        }
      }
    }
    for (int64_t t = 0; a.transposed && t < T; ++t)
      for (int64_t c = 0; c < K; ++c) store(a.y, t, h * yd + c, sum[t * K + c]);
  });
}

}  // namespace transom::ref
