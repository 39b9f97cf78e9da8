// Normalisations with the residual addition they fuse; equations: ref/norm.cc. One block a vector (a row, or one of a row's
// groups); a thread reads only elements that it wrote itself, so that sum may be x, and y may be x.
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

}  // namespace

void rms_norm(const NormArgs& a, Stream& s) { norm<false>(a, s, "rms_norm"); }
void layer_norm(const NormArgs& a, Stream& s) { norm<true>(a, s, "layer_norm"); }

}  // namespace transom::cuda
