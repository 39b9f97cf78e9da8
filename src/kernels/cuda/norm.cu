// Normalisations with the residual addition they fuse, and what else depends on a row's moments; equations: ref/norm.cc and
// ref/elementwise.cc. One block a vector (a row, or one of a row's groups); a thread reads only elements that it wrote itself, so
// that sum may be x, and y may be x.
#include "kernels/cuda/device.cuh"

namespace transom::cuda {
namespace {

constexpr int kThreads = 128;

// The element that is normed: what the next layers see, that is s as `sum` stores it.
__device__ float residual(const NormArgs& a, int64_t t, int64_t c) {
  if (a.sum.data) return load(a.sum, t, c);
  const float x = load(a.x, t, c);
  return a.pending.data ? fmaf(a.pending_scale, load(a.pending, t, c), x) : x;
}

template <bool kCentred>
__global__ void norm_kernel(const NormArgs a) {
  __shared__ float parts[kThreads / kWarp];
  const int64_t size = a.x.cols / a.groups;
  const int64_t t = blockIdx.x / a.groups, begin = blockIdx.x % a.groups * size, end = begin + size;
  const int64_t mine = begin + threadIdx.x;
  if (a.sum.data) {
    for (int64_t c = mine; c < end; c += kThreads) {
      const float x = load(a.x, t, c);
      store(a.sum, t, c, a.pending.data ? fmaf(a.pending_scale, load(a.pending, t, c), x) : x);
    }
  }
  float mean = 0.f;
  if (kCentred) {
    float sum = 0.f;
    for (int64_t c = mine; c < end; c += kThreads) sum += residual(a, t, c);
    mean = block_sum<kThreads>(sum, parts) / static_cast<float>(size);
  }
  float squares = 0.f;
  for (int64_t c = mine; c < end; c += kThreads) {
    const float d = residual(a, t, c) - mean;
    squares = fmaf(d, d, squares);
  }
  const float rstd = 1.f / sqrtf(block_sum<kThreads>(squares, parts) / static_cast<float>(size) + a.eps);
  for (int64_t c = mine; c < end; c += kThreads) {
    const int64_t at = a.whole_weight ? c : c - begin;
    const float w = a.weight ? a.weight[at] + a.weight_offset : 1.f;
    store(a.y, t, c, fmaf((residual(a, t, c) - mean) * rstd, w, a.bias ? a.bias[at] : 0.f));
  }
}

template <bool kCentred>
void norm(const NormArgs& a, Stream& s, const char* op) {
  expect_activations(op, {a.x.dtype, a.pending.dtype, a.sum.dtype, a.y.dtype});
  if (a.x.rows == 0) return;
  norm_kernel<kCentred><<<static_cast<unsigned>(a.x.rows * a.groups), kThreads, 0, stream_of(s)>>>(a);
  launched(op);
}

__device__ float row_sum(const ConstView& x, int64_t t, float* parts) {
  float sum = 0.f;
  for (int64_t c = threadIdx.x; c < x.cols; c += kThreads) sum += load(x, t, c);
  return block_sum<kThreads>(sum, parts);
}

__device__ float row_squares(const ConstView& x, int64_t t, float mean, float* parts) {
  float sum = 0.f;
  for (int64_t c = threadIdx.x; c < x.cols; c += kThreads) sum = fmaf(load(x, t, c) - mean, load(x, t, c) - mean, sum);
  return block_sum<kThreads>(sum, parts);
}

__global__ void row_cutoff_kernel(const RowCutoffArgs a) {
  __shared__ float parts[kThreads / kWarp];
  const int64_t t = blockIdx.x;
  const auto n = static_cast<float>(a.x.cols);
  const float mean = row_sum(a.x, t, parts) / n;
  const float cutoff = mean + a.deviations * sqrtf(row_squares(a.x, t, mean, parts) / n);
  for (int64_t c = threadIdx.x; c < a.y.cols; c += kThreads) store(a.y, t, c, fmaxf(0.f, load(a.x, t, c) - cutoff));
}

__global__ void match_rms_kernel(const MatchRmsArgs a) {
  __shared__ float parts[kThreads / kWarp];
  const int64_t t = blockIdx.x;
  const auto n = static_cast<float>(a.x.cols);
  const float like = row_squares(a.like, t, 0.f, parts) / n, own = row_squares(a.x, t, 0.f, parts) / n;
  const float factor = sqrtf(like / fmaxf(own, a.eps));
  for (int64_t c = threadIdx.x; c < a.y.cols; c += kThreads) store(a.y, t, c, load(a.x, t, c) * factor);
}

template <class Args>
void by_row(void (*kernel)(const Args), const Args& a, Stream& s, const char* op) {
  if (a.y.rows == 0) return;
  kernel<<<static_cast<unsigned>(a.y.rows), kThreads, 0, stream_of(s)>>>(a);
  launched(op);
}

}  // namespace

void rms_norm(const NormArgs& a, Stream& s) { norm<false>(a, s, "rms_norm"); }
void layer_norm(const NormArgs& a, Stream& s) { norm<true>(a, s, "layer_norm"); }

void row_cutoff(const RowCutoffArgs& a, Stream& s) {
  expect_activations("row_cutoff", {a.x.dtype, a.y.dtype});
  by_row(row_cutoff_kernel, a, s, "row_cutoff");
}
void match_rms(const MatchRmsArgs& a, Stream& s) {
  expect_activations("match_rms", {a.x.dtype, a.like.dtype, a.y.dtype});
  by_row(match_rms_kernel, a, s, "match_rms");
}

}  // namespace transom::cuda
