// Element-wise rows: one thread an element. Equations: kernels.h and ref/elementwise.cc.
#include "kernels/cuda/device.cuh"

namespace transom::cuda {
namespace {

__device__ float sigmoid(float x) { return 1.f / (1.f + expf(-x)); }

__device__ float activate(Activation act, float x) {
  constexpr float kSqrtHalf = 0.70710678f, kSqrt2OverPi = 0.79788456f, kGeluCubic = 0.044715f;
  switch (act) {
    case Activation::kSilu: return x * sigmoid(x);
    case Activation::kGelu: return 0.5f * x * (1.f + erff(x * kSqrtHalf));
    case Activation::kGeluTanh: return 0.5f * x * (1.f + tanhf(kSqrt2OverPi * (x + kGeluCubic * x * x * x)));
    case Activation::kRelu: return fmaxf(x, 0.f);
    case Activation::kTanh: return tanhf(x);
    case Activation::kSigmoid: return sigmoid(x);
    case Activation::kQuickGelu: return x * sigmoid(1.702f * x);
    case Activation::kIdentity: return x;
    case Activation::kRelu2: return x > 0.f ? x * x : 0.f;
  }
  return x;
}

__global__ void act_mul_kernel(const ActMulArgs a) {
  const int64_t t = element_row(), c = element_column();
  if (c >= a.y.cols) return;
  float gate = load(a.gate, t, c), up = a.up.data ? load(a.up, t, c) : 1.f;
  if (a.up.data) {
    if (a.clamp.limit > 0.f) {
      gate = fminf(gate, a.clamp.limit);
      up = fminf(fmaxf(up, -a.clamp.limit), a.clamp.limit);
    }
    up += a.clamp.up_offset;
  }
  store(a.y, t, c, activate(a.act, gate) * up);
}

__global__ void axpby_kernel(const AxpbyArgs a) {
  const int64_t t = element_row(), c = element_column();
  if (c >= a.y.cols) return;
  const float ax = a.a * load(a.x, t, c);
  store(a.y, t, c, a.b != 0.f ? fmaf(a.b, load(a.y, t, c), ax) : ax);
}

__global__ void softcap_kernel(const SoftcapArgs a) {
  const int64_t t = element_row(), c = element_column();
  if (c < a.y.cols) store(a.y, t, c, a.cap * tanhf(load(a.x, t, c) / a.cap));
}

__global__ void clamp_kernel(const ClampArgs a) {
  const int64_t t = element_row(), c = element_column();
  if (c < a.y.cols) store(a.y, t, c, fminf(fmaxf(load(a.x, t, c), -a.limit), a.limit));
}

__global__ void scale_columns_kernel(const ScaleColumnsArgs a) {
  const int64_t t = element_row(), c = element_column();
  if (c < a.y.cols) store(a.y, t, c, load(a.x, t, c) * a.factors[a.whole ? 0 : c]);
}

__global__ void position_growth_kernel(const PositionGrowthArgs a) {
  const int64_t t = element_row(), c = element_column();
  if (c >= a.y.cols) return;
  const float r = static_cast<float>(a.positions[t] + a.rule.offset) / a.rule.length;
  store(a.y, t, c, fmaf(a.rule.slope, logf(a.rule.steps ? 1.f + floorf(r) : fmaxf(1.f, r)), 1.f));
}

// The sequence of row t of y is the last one that begins at or before it.
__global__ void unfold_rows_kernel(const UnfoldRowsArgs a) {
  const int64_t t = element_row(), c = element_column();
  if (c >= a.y.cols) return;
  int32_t q = 0;
  while (q + 1 < a.count && a.y_start[q + 1] <= t) ++q;
  const int64_t first = a.x_start[q], at = (t - a.y_start[q]) * a.stride + c % a.width - 1;
  store(a.y, t, c, at >= 0 && at < a.x_start[q + 1] - first ? load(a.x, first + at, c / a.width) : 0.f);
}

__global__ void gather_rows_kernel(const GatherRowsArgs a) {
  const int64_t t = element_row(), c = element_column();
  if (c < a.y.cols) store(a.y, t, c, load(a.x, a.rows[t], c));
}

__global__ void combine_rows_kernel(const CombineRowsArgs a) {
  const int64_t t = element_row(), c = element_column();
  if (c >= a.y.cols) return;
  float sum = 0.f;
  for (int64_t j = 0, p = t * a.weights.cols; j < a.weights.cols; ++j, ++p)
    sum = fmaf(load(a.weights, t, j), load(a.x, a.positions ? a.positions[p] : p, c), sum);
  store(a.y, t, c, sum);
}

template <class Args>
void launch(void (*kernel)(const Args), const Args& a, Stream& s, const char* op) {
  if (a.y.rows == 0 || a.y.cols == 0) return;
  kernel<<<element_grid(a.y.rows, a.y.cols), kColumns, 0, stream_of(s)>>>(a);
  launched(op);
}

}  // namespace

void act_mul(const ActMulArgs& a, Stream& s) {
  expect_activations("act_mul", {a.gate.dtype, a.up.dtype, a.y.dtype});
  launch(act_mul_kernel, a, s, "act_mul");
}

void axpby(const AxpbyArgs& a, Stream& s) {
  expect_activations("axpby", {a.x.dtype, a.y.dtype});
  launch(axpby_kernel, a, s, "axpby");
}

void softcap(const SoftcapArgs& a, Stream& s) {
  expect_activations("softcap", {a.x.dtype, a.y.dtype});
  launch(softcap_kernel, a, s, "softcap");
}

void clamp(const ClampArgs& a, Stream& s) {
  expect_activations("clamp", {a.x.dtype, a.y.dtype});
  launch(clamp_kernel, a, s, "clamp");
}

void scale_columns(const ScaleColumnsArgs& a, Stream& s) {
  expect_activations("scale_columns", {a.x.dtype, a.y.dtype});
  launch(scale_columns_kernel, a, s, "scale_columns");
}

void position_growth(const PositionGrowthArgs& a, Stream& s) {
  expect_activations("position_growth", {a.y.dtype});
  launch(position_growth_kernel, a, s, "position_growth");
}

void unfold_rows(const UnfoldRowsArgs& a, Stream& s) {
  expect_activations("unfold_rows", {a.x.dtype, a.y.dtype});
  launch(unfold_rows_kernel, a, s, "unfold_rows");
}

void gather_rows(const GatherRowsArgs& a, Stream& s) {
  expect_activations("gather_rows", {a.x.dtype, a.y.dtype});
  launch(gather_rows_kernel, a, s, "gather_rows");
}

void combine_rows(const CombineRowsArgs& a, Stream& s) {
  expect_activations("combine_rows", {a.x.dtype, a.weights.dtype, a.y.dtype});
  launch(combine_rows_kernel, a, s, "combine_rows");
}

}  // namespace transom::cuda
