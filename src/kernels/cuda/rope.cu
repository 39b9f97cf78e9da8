// Rotary positions (Su et al. 2021): the table of cos and sin, one thread an angle, and the rotation, one thread a pair.
#include "kernels/cuda/device.cuh"

namespace transom::cuda {
namespace {

__global__ void rope_table_kernel(const RopeTableArgs a) {
  const int64_t t = element_row(), i = element_column();
  if (i >= a.cos.cols) return;
  // The angle is rounded to float as transformers rounds it; its cosine is then exact to float at any size of angle.
  const int32_t position = a.positions[(a.axis ? a.axis[i] * a.cos.rows : 0) + t];
  const double angle = static_cast<float>(position) * a.inv_freq[i];
  static_cast<float*>(a.cos.data)[t * a.cos.stride + i] = static_cast<float>(cos(angle) * a.scale);
  static_cast<float*>(a.sin.data)[t * a.sin.stride + i] = static_cast<float>(sin(angle) * a.scale);
}

__global__ void rope_kernel(const RopeArgs a) {
  const int64_t t = element_row(), pair = element_column(), half = a.cos.cols;
  if (pair >= a.heads * half) return;
  const int64_t head = pair / half * (a.x.cols / a.heads) + a.first, i = pair % half;
  const int64_t first = head + (a.interleaved ? 2 * i : i), second = head + (a.interleaved ? 2 * i + 1 : i + half);
  const float x = load(a.x, t, first), y = load(a.x, t, second);
  const float c = load(a.cos, t, i), s = a.inverse ? -load(a.sin, t, i) : load(a.sin, t, i);
  store(a.x, t, first, x * c - y * s);
  store(a.x, t, second, y * c + x * s);
}

}  // namespace

void rope_table(const RopeTableArgs& a, Stream& s) {
  if (a.cos.rows == 0 || a.cos.cols == 0) return;
  rope_table_kernel<<<element_grid(a.cos.rows, a.cos.cols), kColumns, 0, stream_of(s)>>>(a);
  launched("rope_table");
}

void rope(const RopeArgs& a, Stream& s) {
  expect_activations("rope", {a.x.dtype, a.cos.dtype, a.sin.dtype});
  if (a.x.rows == 0 || a.cos.cols == 0) return;
  rope_kernel<<<element_grid(a.x.rows, a.heads * a.cos.cols), kColumns, 0, stream_of(s)>>>(a);
  launched("rope");
}

}  // namespace transom::cuda
