// kv_write, and attention over packed or paged keys and values with a running softmax (Milakov & Gimelshein 2018): one block a
// query row and head walks the visible keys in chunks, each warp scoring keys of the chunk, each thread summing some of the
// output's elements. Chunks count from the first visible key, so that a result does not depend on how the keys came there
// (packed, paged, chunked) nor on what else is in the step. Mask, score modifications and sinks: kernels.h.
#include "kernels/cuda/device.cuh"

namespace transom::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / kWarp;
constexpr int kKeys = kThreads;  // of a chunk: one a thread when probabilities are taken

__global__ void kv_write_kernel(const KvWriteArgs a) {
  const int64_t t = element_row(), c = element_column(), slot = a.slots[t];
  if (c < a.k.cols) store(a.k_cache, slot, c, load(a.k, t, c));
  if (c < a.v.cols) store(a.v_cache, slot, c, load(a.v, t, c));
}

// What query row t sees: keys [begin, end) of sequence `sequence`, itself at `position`. A row of no sequence sees nothing.
struct Visible {
  int32_t sequence, position = 0, begin = 0, end = 0;

  __device__ Visible(const AttentionArgs& a, int64_t t) {
    const SequenceTable& q = a.seqs;
    int32_t low = 0, high = q.count;  // the first sequence that ends after t
    while (low < high) {
      const int32_t middle = (low + high) / 2;
      if (q.q_start[middle + 1] > t) high = middle;
      else low = middle + 1;
    }
    sequence = low;
    if (low == q.count) return;
    const int32_t length = q.kv_len[low];
    position = length - (q.q_start[low + 1] - static_cast<int32_t>(t));
    end = a.mask.causal ? position + 1 : length;
    if (a.mask.window > 0) {
      begin = max(begin, position - a.mask.window + 1);
      end = min(end, position + a.mask.window);
    }
    if (a.mask.chunk > 0) begin = max(begin, position / a.mask.chunk * a.mask.chunk);
  }
};

__device__ int64_t key_row(const SequenceTable& q, int32_t sequence, int32_t j) {
  if (!q.pages) return (q.k_start ? q.k_start : q.q_start)[sequence] + j;
  return int64_t{q.pages[int64_t{sequence} * q.max_pages + j / q.page_size]} * q.page_size + j % q.page_size;
}

// `t` and `row`: the rows of query and key.
__device__ float modified(const AttentionArgs& a, int64_t h, int64_t t, int64_t row, int32_t distance, float score) {
  score *= a.scale;
  if (a.mod.softcap > 0.f) score = a.mod.softcap * tanhf(score / a.mod.softcap);
  if (a.mod.alibi) score += a.mod.alibi[h] * static_cast<float>(distance);
  const RelativeScores& rel = a.mod.relative;
  if (!rel.bucket) return score;
  const int64_t b = rel.bucket[min(max(distance, -rel.reach), rel.reach) + rel.reach];
  if (rel.by_head.data) score += load(rel.by_head, b, h);
  if (rel.by_query.data) score += load(rel.by_query, t, h * rel.buckets + b);
  if (rel.by_key.data) score += load(rel.by_key, row, h * rel.buckets + b);
  return score;
}

// Shared memory: the query head [hd], the output so far [vd]; static: a chunk's probabilities and rows.
__global__ void attention_kernel(const AttentionArgs a) {
  extern __shared__ float shared[];
  __shared__ float p[kKeys];
  __shared__ int64_t rows[kKeys];
  const int64_t t = blockIdx.x, h = blockIdx.y, kv = h / (a.heads / a.kv_heads);
  const int hd = static_cast<int>(a.q.cols / a.heads), vd = static_cast<int>(a.out.cols / a.heads);
  const int thread = threadIdx.x, lane = thread % kWarp;
  float *q = shared, *out = shared + hd;
  for (int i = thread; i < hd; i += kThreads) q[i] = load(a.q, t, h * hd + i);
  for (int c = thread; c < vd; c += kThreads) out[c] = 0.f;
  const Visible keys(a, t);
  // The same in all threads: the largest score so far, and the sum of exp(score - top).
  float top = a.mod.sinks ? a.mod.sinks[h] : -INFINITY, sum = a.mod.sinks ? 1.f : 0.f;
  __syncthreads();
  for (int32_t begin = keys.begin; begin < keys.end; begin += kKeys) {
    const int n = min(kKeys, keys.end - begin);
    for (int j = thread / kWarp; j < n; j += kWarps) {
      const int64_t row = key_row(a.seqs, keys.sequence, begin + j);
      float score = 0.f;
      for (int i = lane; i < hd; i += kWarp) score = fmaf(q[i], load(a.k, row, kv * hd + i), score);
      score = warp_sum(score);
      if (lane == 0) {
        p[j] = modified(a, h, t, row, begin + j - keys.position, score);
        rows[j] = row;
      }
    }
    __syncthreads();
    float largest = top;
    for (int j = lane; j < n; j += kWarp) largest = fmaxf(largest, p[j]);
    largest = warp_max(largest);
    const float shrink = expf(top - largest);
    top = largest;
    __syncthreads();
    if (thread < n) p[thread] = expf(p[thread] - top);
    __syncthreads();
    float chunk = 0.f;
    for (int j = lane; j < n; j += kWarp) chunk += p[j];
    sum = fmaf(sum, shrink, warp_sum(chunk));
    for (int c = thread; c < vd; c += kThreads) {
      float x = out[c] * shrink;
      for (int j = 0; j < n; ++j) x = fmaf(p[j], load(a.v, rows[j], kv * vd + c), x);
      out[c] = x;
    }
    __syncthreads();
  }
  for (int c = thread; c < vd; c += kThreads) store(a.out, t, h * vd + c, sum > 0.f ? out[c] / sum : 0.f);
  if (a.lse && thread == 0) a.lse[t * a.heads + h] = top + logf(sum);
}

}  // namespace

void kv_write(const KvWriteArgs& a, Stream& s) {
  expect_activations("kv_write", {a.k.dtype, a.v.dtype, a.k_cache.dtype, a.v_cache.dtype});
  const int64_t cols = a.k.cols > a.v.cols ? a.k.cols : a.v.cols;
  if (a.k.rows == 0 || cols == 0) return;
  kv_write_kernel<<<element_grid(a.k.rows, cols), kColumns, 0, stream_of(s)>>>(a);
  launched("kv_write");
}

void attention(const AttentionArgs& a, Stream& s) {
  expect_activations("attention", {a.q.dtype, a.k.dtype, a.v.dtype, a.out.dtype});
  if (a.q.rows == 0) return;
  const dim3 grid(static_cast<unsigned>(a.q.rows), static_cast<unsigned>(a.heads));
  const size_t shared = sizeof(float) * static_cast<size_t>((a.q.cols + a.out.cols) / a.heads);
  attention_kernel<<<grid, kThreads, shared, stream_of(s)>>>(a);
  launched("attention");
}

}  // namespace transom::cuda
