// Linear and FusedLinear: see linear.h.
#include "nn/linear.h"

namespace transom::nn {
namespace {

ops::LinearParam declare(const Scope& s, int64_t in, int64_t out, Split split, Bias bias) {
  ops::LinearParam p{s.matrix("weight", out, in, split), nullptr};
  // A bias is split as the output is; under Split::kIn it is added once, after the reduction.
  if (bias == Bias::kRequired)
    p.bias = s.vector("bias", out, split.axis == Split::Axis::kOut ? split : Split{});
  return p;
}

}  // namespace

Linear::Linear(const Scope& s, int64_t in, int64_t out, Split split, Bias bias) {
  const ops::LinearParam p = declare(s, in, out, split, bias);
  weight_ = p.weight;
  bias_ = p.bias;
}

FusedLinear::FusedLinear(const Scope& s, int64_t in, const std::vector<Segment>& segments) {
  for (const Segment& g : segments) params_.push_back(declare(s / g.name, in, g.out, g.split, g.bias));
}

std::vector<Tensor> FusedLinear::forward(Ctx& cx, const Tensor& x) const {
  std::vector<Tensor> out(params_.size());
  ops::linear(cx, x, params_, out);
  return out;
}

}  // namespace transom::nn
