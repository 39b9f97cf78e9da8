// AudioEmbedder: see audio_embedder.h.
#include "nn/audio_embedder.h"

#include "base/error.h"

namespace transom::nn {
namespace {

constexpr int32_t kWidth = 3;

Linear convolution(const Scope& s, int64_t in, int64_t out) { return {s, in * kWidth, out, {}, Bias::kRequired}; }

}  // namespace

AudioEmbedder::AudioEmbedder(const Scope& s, int64_t features, int64_t hidden, int64_t positions)
    : conv1_(convolution(s / "conv1", features, hidden)),
      conv2_(convolution(s / "conv2", hidden, hidden)),
      positions_(frozen((s / "embed_positions").table("weight", positions, hidden))) {}

Tensor AudioEmbedder::forward(Ctx& cx) const {
  const Batch& b = cx.batch;
  CHECK(b.features && b.input_start);
  Tensor x{.view = {const_cast<void*>(b.features.data), b.features.dtype, b.features.rows, b.features.cols, b.features.stride}, .owner = {}};
  UnfoldRowsArgs shape{.x = {}, .x_start = b.input_start, .y_start = b.input_start, .count = b.packed.count, .width = kWidth, .stride = 1, .y = {}};
  x = ops::unfold_rows(cx, x, shape, b.features.rows);
  x = ops::act_mul(cx, conv1_.forward(cx, x), {}, Activation::kGelu);
  shape.y_start = b.packed.q_start;
  shape.stride = 2;
  x = ops::unfold_rows(cx, x, shape, b.rows);
  x = ops::act_mul(cx, conv2_.forward(cx, x), {}, Activation::kGelu);
  return ops::add(cx, x, ops::embedding(cx, *positions_, b.positions, b.rows));
}

}  // namespace transom::nn
