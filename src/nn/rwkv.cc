// RwkvAttention, RwkvFeedForward: see rwkv.h. Each mix keeps the last token for itself.
#include "nn/rwkv.h"

namespace transom::nn {

using Axis = Split::Axis;

RwkvAttention::RwkvAttention(const Scope& s, int64_t hidden, int64_t inner)
    : hidden_(hidden),
      decay_(s.vector("time_decay", inner, {Axis::kOut, 1})),
      first_(s.vector("time_first", inner, {Axis::kOut, 1})),
      mix_key_(s.vector("time_mix_key", hidden)),
      mix_value_(s.vector("time_mix_value", hidden)),
      mix_receptance_(s.vector("time_mix_receptance", hidden)),
      key_(s / "key", hidden, inner, {Axis::kOut, 1}),
      value_(s / "value", hidden, inner, {Axis::kOut, 1}),
      receptance_(s / "receptance", hidden, inner, {Axis::kOut, 1}),
      out_(s / "output", inner, hidden, {Axis::kIn, 1}),
      state_(s.state({.per_sequence = 3 * hidden + 3 * inner})) {}

Tensor RwkvAttention::forward(Ctx& cx, const Tensor& x) const {
  const Tensor k = key_.forward(cx, ops::token_shift(cx, x, *mix_key_, {state_, 0}));
  const Tensor v = value_.forward(cx, ops::token_shift(cx, x, *mix_value_, {state_, hidden_}));
  const Tensor r = receptance_.forward(cx, ops::token_shift(cx, x, *mix_receptance_, {state_, 2 * hidden_}));
  const Tensor y = ops::wkv(cx, k, v, *decay_, *first_, {state_, 3 * hidden_});
  return out_.forward(cx, ops::act_mul(cx, r, y, Activation::kSigmoid));
}

RwkvFeedForward::RwkvFeedForward(const Scope& s, int64_t hidden, int64_t inner)
    : hidden_(hidden),
      mix_key_(s.vector("time_mix_key", hidden)),
      mix_receptance_(s.vector("time_mix_receptance", hidden)),
      key_(s / "key", hidden, inner, {Axis::kOut, 1}),
      receptance_(s / "receptance", hidden, hidden, {Axis::kOut, 1}),
      value_(s / "value", inner, hidden, {Axis::kIn, 1}),
      state_(s.state({.per_sequence = 2 * hidden})) {}

Tensor RwkvFeedForward::forward(Ctx& cx, const Tensor& x) const {
  const Tensor k = key_.forward(cx, ops::token_shift(cx, x, *mix_key_, {state_, 0}));
  const Tensor r = receptance_.forward(cx, ops::token_shift(cx, x, *mix_receptance_, {state_, hidden_}));
  const Tensor squared = ops::act_mul(cx, k, k, Activation::kRelu);  // relu(k) * k = relu(k)²
  return ops::act_mul(cx, r, value_.forward(cx, squared), Activation::kSigmoid);
}

}  // namespace transom::nn
