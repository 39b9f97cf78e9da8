// The capture contract: a decode step made of the table's rows is captured into a CUDA graph once, and its replay follows
// what the batch's arrays say on the device: other tokens, positions, lengths and pages give what the same calls give eagerly.
#include <cuda_runtime_api.h>

#include <functional>

#include "cuda/device.h"

namespace transom::test {
namespace {

using CudaCapture = CudaTest;

void expect_ok(cudaError_t e) { ASSERT_EQ(e, cudaSuccess) << cudaGetErrorString(e); }

// Two sequences of one new token each: embedding, norm, fused q k v, rotation, cache, attention, projection, gated
// feed-forward, head.
struct Step {
  static constexpr int64_t kHidden = 64, kHeads = 4, kKv = 2, kDim = 16, kInner = 96, kVocab = 50, kRows = 2, kPages = 8, kPage = 16;
  Random random{7};
  RandomWeight embed{DType::kQ8_0, kVocab, kHidden, random}, qkv{DType::kQ4_1, (kHeads + 2 * kKv) * kDim, kHidden, random},
      out_w{DType::kBF16, kHidden, kHeads * kDim, random}, gate_up{DType::kQ5_0, 2 * kInner, kHidden, random},
      down{DType::kQ4_0, kHidden, kInner, random};
  Matrix x{DType::kF32, kRows, kHidden}, y{DType::kF32, kRows, kHidden}, heads{DType::kF32, kRows, (kHeads + 2 * kKv) * kDim},
      mixed{DType::kF32, kRows, kHeads * kDim}, pending{DType::kF32, kRows, kHidden}, inner{DType::kF32, kRows, 2 * kInner},
      cos{DType::kF32, kRows, kDim / 2}, sin{DType::kF32, kRows, kDim / 2}, last{DType::kF32, kRows, kHidden},
      logits{DType::kF32, kRows, kVocab}, k_cache{DType::kF16, kPages * kPage, kKv * kDim}, v_cache{DType::kF16, kPages * kPage, kKv * kDim};
  Array<float> inv_freq{std::vector<float>{1.f, .5f, .3f, .1f, .05f, .02f, .01f, .001f}};
  Array<int32_t> ids{{3, 40}}, positions{{5, 17}}, slots{{1, 2}}, q_start{{0, 1, 2}}, kv_len{{6, 18}}, pages{{0, 1, 2, 3}}, order{{1, 0}};

  static View columns(const Matrix& m, int64_t begin, int64_t count) {
    View v = m.on(Side::kDevice);
    v.data = static_cast<float*>(v.data) + begin;
    v.cols = count;
    return v;
  }
  static View all(const Matrix& m) { return m.on(Side::kDevice); }
  void set(const Array<int32_t>& to, std::vector<int32_t> values) {
    cuda_kernels().copy_to_device(to.on(Side::kDevice), values.data(), values.size() * sizeof(int32_t), device_stream());
  }
  void linear(const RandomWeight& w, View in, View out, Stream& st) {
    const LinearSegment s{w.on(Side::kDevice), nullptr, out};
    cuda_kernels().linear({.x = in, .segments = {&s, 1}}, st);
  }
  void run(Stream& st) {
    constexpr Side d = Side::kDevice;
    const Kernels& k = cuda_kernels();
    const View q = columns(heads, 0, kHeads * kDim), key = columns(heads, kHeads * kDim, kKv * kDim),
               value = columns(heads, (kHeads + kKv) * kDim, kKv * kDim), up = columns(inner, kInner, kInner), gate = columns(inner, 0, kInner);
    k.embedding({.weight = embed.on(d), .ids = ids.on(d), .y = all(x)}, st);
    k.rope_table({.positions = positions.on(d), .inv_freq = inv_freq.on(d), .cos = all(cos), .sin = all(sin)}, st);
    k.rms_norm({.x = all(x), .pending = {}, .sum = {}, .y = all(y)}, st);
    linear(qkv, all(y), all(heads), st);
    k.rope({.x = q, .cos = all(cos), .sin = all(sin), .heads = kHeads}, st);
    k.rope({.x = key, .cos = all(cos), .sin = all(sin), .heads = kKv}, st);
    k.kv_write({.k = key, .v = value, .slots = slots.on(d), .k_cache = all(k_cache), .v_cache = all(v_cache)}, st);
    k.attention({.q = q, .k = all(k_cache), .v = all(v_cache), .out = all(mixed),
                 .seqs = {.count = 2, .q_start = q_start.on(d), .kv_len = kv_len.on(d), .pages = pages.on(d), .max_pages = 2, .page_size = kPage,
                          .max_q_len = 1, .max_kv_len = 2 * kPage},
                 .heads = kHeads, .kv_heads = kKv, .scale = 0.25f, .mask = {}, .mod = {}}, st);
    linear(out_w, all(mixed), all(pending), st);
    k.layer_norm({.x = all(x), .pending = all(pending), .sum = all(x), .y = all(y)}, st);
    linear(gate_up, all(y), all(inner), st);
    k.act_mul({.gate = gate, .up = up, .y = gate}, st);
    linear(down, gate, all(pending), st);
    k.axpby({.x = all(pending), .y = all(x), .a = 1.f, .b = 1.f}, st);
    k.gather_rows({.x = all(x), .rows = order.on(d), .y = all(last)}, st);
    linear(embed, all(last), all(logits), st);
    k.softcap({.x = all(logits), .y = all(logits), .cap = 30.f}, st);
  }
};

TEST_F(CudaCapture, AReplayFollowsTheArrays) {
  Step step;
  step.k_cache.fill(step.random), step.v_cache.fill(step.random);
  const auto first_inputs = [&] {
    step.set(step.ids, {3, 40}), step.set(step.positions, {5, 17}), step.set(step.slots, {5, 33}), step.set(step.kv_len, {6, 18});
    step.set(step.pages, {0, 1, 5, 2});
  };
  const auto other_inputs = [&] {
    step.set(step.ids, {49, 0}), step.set(step.positions, {20, 2}), step.set(step.slots, {4 + 16 * 7, 2 + 16 * 3}), step.set(step.kv_len, {21, 3});
    step.set(step.pages, {6, 7, 3, -1});
  };
  first_inputs();
  step.run(device_stream());
  const std::vector<float> first = step.logits.values(Side::kDevice);
  other_inputs();
  step.run(device_stream());
  const std::vector<float> other = step.logits.values(Side::kDevice);
  EXPECT_NE(first, other);

  Stream stream;
  cudaStream_t handle = nullptr;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t replay = nullptr;
  expect_ok(cudaStreamCreateWithFlags(&handle, cudaStreamNonBlocking));
  stream.cuda_stream = handle;
  expect_ok(cudaStreamBeginCapture(handle, cudaStreamCaptureModeGlobal));
  step.run(stream);
  expect_ok(cudaStreamEndCapture(handle, &graph));
  expect_ok(cudaGraphInstantiate(&replay, graph, 0));
  for (const auto& [prepare, want] : {std::pair<std::function<void()>, std::vector<float>>{first_inputs, first}, {other_inputs, other}}) {
    prepare();
    expect_ok(cudaDeviceSynchronize());
    expect_ok(cudaGraphLaunch(replay, handle));
    expect_ok(cudaDeviceSynchronize());
    EXPECT_EQ(step.logits.values(Side::kDevice), want);
  }
  expect_ok(cudaGraphExecDestroy(replay));
  expect_ok(cudaGraphDestroy(graph));
  expect_ok(cudaStreamDestroy(handle));
}

}  // namespace
}  // namespace transom::test
