// linear and embedding over weights as stored. linear: one warp a weight row (output column) and up to kTokens rows of x; every
// lane sums its own chunks in order of k, then the lanes' sums are added in a fixed tree, so that a result does not depend on
// how many rows the step has.
#include "kernels/cuda/formats.cuh"

namespace transom::cuda {
namespace {

constexpr int kRowsPerBlock = 4;  // warps of a block
constexpr int kTokens = 8;        // rows of x that share a decoded chunk, when there are many
constexpr unsigned kMaxGridY = 65535;

struct LinearCall {
  ConstView x;
  LinearSegment segment;
  float alpha, beta;
};

__device__ void finish(const LinearCall& a, int64_t t, int64_t n, float sum) {
  float y = a.alpha * sum;
  if (a.segment.bias) y += a.segment.bias[n];
  if (a.beta != 0.f) y += a.beta * load(a.segment.y, t, n);
  store(a.segment.y, t, n, y);
}

template <DType kFormat, int kRows>
__global__ void linear_kernel(const LinearCall a) {
  using W = Format<kFormat>;
  const int64_t n = int64_t{blockIdx.x} * kRowsPerBlock + threadIdx.y;
  if (n >= a.segment.weight.rows) return;
  const auto* row = reinterpret_cast<const uint8_t*>(a.segment.weight.data) + n * a.segment.weight.row_bytes;
  const int64_t rows = a.x.rows, cols = a.x.cols;
  for (int64_t first = int64_t{blockIdx.y} * kRows; first < rows; first += int64_t{gridDim.y} * kRows) {
    float sum[kRows] = {};
    for (int64_t k = threadIdx.x * W::kChunk; k < cols; k += kWarp * W::kChunk) {
      float w[W::kChunk];
      W::decode(row, k, w);
#pragma unroll
      for (int t = 0; t < kRows; ++t) {
        if (first + t >= rows) break;
        for (int i = 0; i < W::kChunk; ++i) sum[t] = fmaf(w[i], load(a.x, first + t, k + i), sum[t]);
      }
    }
#pragma unroll
    for (int t = 0; t < kRows; ++t) {
      const float s = warp_sum(sum[t]);
      if (threadIdx.x == 0 && first + t < rows) finish(a, first + t, n, s);
    }
  }
}

template <DType kFormat, int kRows>
void launch_linear(const LinearCall& call, cudaStream_t stream) {
  const int64_t blocks = (call.segment.weight.rows + kRowsPerBlock - 1) / kRowsPerBlock;
  const int64_t tiles = (call.x.rows + kRows - 1) / kRows;
  const dim3 grid(static_cast<unsigned>(blocks), static_cast<unsigned>(tiles < kMaxGridY ? tiles : kMaxGridY));
  linear_kernel<kFormat, kRows><<<grid, dim3(kWarp, kRowsPerBlock), 0, stream>>>(call);
}

template <DType kFormat>
__global__ void embedding_kernel(const EmbeddingArgs a) {
  using W = Format<kFormat>;
  const int64_t t = element_row(), k = element_column() * W::kChunk;
  if (k >= a.y.cols) return;
  const auto* row = reinterpret_cast<const uint8_t*>(a.weight.data) + a.ids[t] * a.weight.row_bytes;
  float w[W::kChunk];
  W::decode(row, k, w);
  for (int i = 0; i < W::kChunk; ++i) store(a.y, t, k + i, w[i] * a.scale);
}

}  // namespace

void linear(const LinearArgs& a, Stream& s) {
  if (a.x.rows == 0) return;
  for (const LinearSegment& g : a.segments) {
    expect_activations("linear", {a.x.dtype, g.y.dtype});
    if (g.weight.rows == 0) continue;
    const LinearCall call{a.x, g, a.alpha, a.beta};
    with_format("linear", g.weight.dtype, [&]<DType kFormat>() {
      if (a.x.rows == 1) launch_linear<kFormat, 1>(call, stream_of(s));
      else launch_linear<kFormat, kTokens>(call, stream_of(s));
    });
    launched("linear");
  }
}

void embedding(const EmbeddingArgs& a, Stream& s) {
  expect_activations("embedding", {a.y.dtype});
  if (a.y.rows == 0 || a.y.cols == 0) return;
  with_format("embedding", a.weight.dtype, [&]<DType kFormat>() {
    constexpr int kChunk = Format<kFormat>::kChunk;
    embedding_kernel<kFormat><<<element_grid(a.y.rows, (a.y.cols + kChunk - 1) / kChunk), kColumns, 0, stream_of(s)>>>(a);
  });
  launched("embedding");
}

}  // namespace transom::cuda
