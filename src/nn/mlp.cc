// Mlp: see mlp.h.
#include "nn/mlp.h"

#include "base/error.h"

namespace transom::nn {
namespace {

using Axis = Split::Axis;

std::vector<FusedLinear::Segment> inputs(const MlpSpec& m) {
  const Bias bias = m.bias ? Bias::kRequired : Bias::kNone;
  std::vector<FusedLinear::Segment> s;
  if (!m.gate.empty()) s.push_back({m.gate, m.inner, {Axis::kOut, 1}, bias});
  s.push_back({m.up, m.inner, {Axis::kOut, 1}, bias});
  return s;
}

}  // namespace

Mlp::Mlp(const Scope& s, const MlpSpec& spec)
    : act_(spec.act),
      gate_scale_(static_cast<float>(spec.gate_scale)),
      cutoff_(spec.cutoff),
      in_(s, spec.hidden, inputs(spec)),
      down_(s / spec.down, spec.inner, spec.hidden, {Axis::kIn, 1}, spec.bias ? Bias::kRequired : Bias::kNone) {}

Tensor Mlp::forward(Ctx& cx, const Tensor& x) const {
  std::vector<Tensor> h = in_.forward(cx, x);
  if (gate_scale_ != 1.f) h[0] = ops::scale(cx, h[0], gate_scale_);
  if (cutoff_) h[0] = ops::row_cutoff(cx, h[0], static_cast<float>(*cutoff_));
  return down_.forward(cx, ops::act_mul(cx, h[0], h.size() > 1 ? h[1] : Tensor{}, act_));
}

Activation activation_by_name(const std::string& name, const std::string& origin) {
  if (name == "silu" || name == "swish") return Activation::kSilu;
  if (name == "gelu" || name == "gelu_python") return Activation::kGelu;
  if (name == "gelu_pytorch_tanh" || name == "gelu_new" || name == "gelu_fast") return Activation::kGeluTanh;
  if (name == "relu") return Activation::kRelu;
  if (name == "relu2") return Activation::kRelu2;
  if (name == "tanh") return Activation::kTanh;
  if (name == "sigmoid") return Activation::kSigmoid;
  if (name == "linear") return Activation::kIdentity;
  if (name == "quick_gelu") return Activation::kQuickGelu;
  fail(Code::kUnsupported, origin, "expected an activation of silu, gelu, gelu_pytorch_tanh, relu, tanh, sigmoid, quick_gelu, relu2, got {}",
       name);
}

}  // namespace transom::nn
