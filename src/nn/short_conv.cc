// ShortConv: see short_conv.h.
#include "nn/short_conv.h"

namespace transom::nn {

using Axis = Split::Axis;

ShortConv::ShortConv(const Scope& s, const ShortConvSpec& spec)
    : hidden_(spec.hidden),
      in_(s / "in_proj", spec.hidden, 3 * spec.hidden, {Axis::kOut, 1}, spec.bias ? Bias::kRequired : Bias::kNone),
      conv_(s / "conv", spec.hidden, spec.width, spec.bias),
      out_(s / "out_proj", spec.hidden, spec.hidden, {Axis::kIn, 1}, spec.bias ? Bias::kRequired : Bias::kNone),
      state_(s.state({.per_sequence = conv_.kept()})) {}

Tensor ShortConv::forward(Ctx& cx, const Tensor& x) const {
  const Tensor in = in_.forward(cx, x);
  const Tensor b = ops::columns(cx, in, 0, hidden_), c = ops::columns(cx, in, hidden_, hidden_), v = ops::columns(cx, in, 2 * hidden_, hidden_);
  const Tensor mixed = conv_.forward(cx, ops::act_mul(cx, b, v, Activation::kIdentity), {state_, 0});
  return out_.forward(cx, ops::act_mul(cx, c, mixed, Activation::kIdentity));
}

}  // namespace transom::nn
