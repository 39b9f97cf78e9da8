// What the kernels share on the device: loading and storing activations of any type, sums and maxima over a warp or a block
// (in a fixed order, the same on every lane), and the shape of a launch over all elements of a matrix.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "kernels/cuda/rows.h"

namespace transom::cuda {

constexpr int kWarp = 32;
constexpr unsigned kAllLanes = 0xffffffffu;

// V: View or ConstView. The type is the same for all threads, so the branch costs little and instances stay few.
template <class V>
__device__ inline float load(const V& v, int64_t r, int64_t c) {
  const int64_t i = r * v.stride + c;
  if (v.dtype == DType::kBF16) return __bfloat162float(static_cast<const __nv_bfloat16*>(v.data)[i]);
  if (v.dtype == DType::kF16) return __half2float(static_cast<const __half*>(v.data)[i]);
  return static_cast<const float*>(v.data)[i];
}

__device__ inline void store(const View& v, int64_t r, int64_t c, float x) {
  const int64_t i = r * v.stride + c;
  if (v.dtype == DType::kBF16) static_cast<__nv_bfloat16*>(v.data)[i] = __float2bfloat16_rn(x);
  else if (v.dtype == DType::kF16) static_cast<__half*>(v.data)[i] = __float2half_rn(x);
  else static_cast<float*>(v.data)[i] = x;
}

__device__ inline float warp_sum(float x) {
  for (int d = kWarp / 2; d > 0; d /= 2) x += __shfl_xor_sync(kAllLanes, x, d);
  return x;
}

__device__ inline float warp_max(float x) {
  for (int d = kWarp / 2; d > 0; d /= 2) x = fmaxf(x, __shfl_xor_sync(kAllLanes, x, d));
  return x;
}

// Of a block of kThreads threads; `parts` holds one float a warp and may be used again after the call.
template <int kThreads>
__device__ inline float block_sum(float x, float* parts) {
  x = warp_sum(x);
  if (threadIdx.x % kWarp == 0) parts[threadIdx.x / kWarp] = x;
  __syncthreads();
  float sum = 0.f;
  for (int i = 0; i < kThreads / kWarp; ++i) sum += parts[i];
  __syncthreads();
  return sum;
}

// Launches over the elements of [rows, cols]: a block is kColumns columns of one row.
constexpr int kColumns = 256;
inline dim3 element_grid(int64_t rows, int64_t cols) {
  return {static_cast<unsigned>(rows), static_cast<unsigned>((cols + kColumns - 1) / kColumns)};
}
__device__ inline int64_t element_row() { return blockIdx.x; }
__device__ inline int64_t element_column() { return int64_t{blockIdx.y} * kColumns + threadIdx.x; }

}  // namespace transom::cuda
