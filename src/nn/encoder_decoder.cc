// TokenEmbedder, Side, EncoderDecoder: see encoder_decoder.h.
#include "nn/encoder_decoder.h"

#include <cmath>

namespace transom::nn {

Tensor TokenEmbedder::forward(Ctx& cx) const {
  const Batch& b = cx.batch;
  Tensor x = ops::embedding(cx, *spec_.words, b.ids, b.rows, static_cast<float>(spec_.scale), static_cast<int32_t>(spec_.padding_id));
  if (spec_.positions) x = ops::add(cx, x, ops::embedding(cx, *spec_.positions, b.positions, b.rows, 1.f, -1, spec_.position_offset));
  return spec_.norm ? spec_.norm->forward(cx, x) : x;
}

std::vector<float> sinusoids(int64_t rows, int64_t hidden, double period) {
  const int64_t half = hidden / 2;
  std::vector<float> table(rows * hidden);
  for (int64_t p = 0; p < rows; ++p)
    for (int64_t i = 0; i < half; ++i) {
      const double angle = static_cast<double>(p) / std::pow(10000.0, static_cast<double>(i) / period);
      table[p * hidden + i] = static_cast<float>(std::sin(angle));
      table[p * hidden + half + i] = static_cast<float>(std::cos(angle));
    }
  return table;
}

Tensor Side::forward(Ctx& cx) const {
  Hidden h{.x = embedder_->forward(cx), .pending = {}};
  if (cx.observer) cx.observer("embed", h.x);
  h = stack_.forward(cx, h);
  if (!norm_) {
    CHECK(!h.pending);
    return h.x;
  }
  const Tensor y = norm_->absorb(cx, h);
  if (cx.observer) cx.observer("norm", y);
  return y;
}

Tensor EncoderDecoder::hidden(Ctx& cx) const {
  if (cx.source) {
    cx.source->encoded = encoder_.forward(*cx.source);
    if (cx.observer) cx.observer("encoder", cx.source->encoded);
  }
  return decoder_.forward(cx);
}

Tensor EncoderDecoder::logits(Ctx& cx, const Tensor& rows) const {
  const Tensor y = ops::linear(cx, rows, spec_.head);
  return spec_.logit_scale != 1 ? ops::scale(cx, y, static_cast<float>(spec_.logit_scale)) : y;
}

}  // namespace transom::nn
