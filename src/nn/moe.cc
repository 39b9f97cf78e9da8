// Moe: see moe.h.
#include "nn/moe.h"

#include "base/error.h"

namespace transom::nn {
namespace {

using Axis = Split::Axis;

void declare(ops::ExpertParam& p, const Scope& s, int64_t out, int64_t in, Axis axis, bool bias) {
  p.add(s.matrix("weight", out, in, {axis, 1}), bias ? s.vector("bias", out, axis == Axis::kOut ? Split{axis, 1} : Split{}) : nullptr);
}

}  // namespace

Moe::Moe(const Scope& s, const MoeSpec& spec)
    : spec_(spec), router_(s / spec.router, spec.hidden, spec.experts, {}, spec.router_bias ? Bias::kRequired : Bias::kNone) {
  CHECK(!spec.weigh_input || (spec.routing.top_k == 1 && !spec.bias));
  if (spec.correction_bias) correction_ = frozen((s / spec.router).vector("e_score_correction_bias", spec.experts));
  if (spec.expert_scale) expert_scale_ = (s / spec.router).table("per_expert_scale", spec.experts, 1);
  if (spec.router_norm) router_norm_.emplace(s / spec.router_norm_name, *spec.router_norm);
  if (spec.expert_norm) expert_norm_.emplace(s / spec.expert_norm_name, *spec.expert_norm);
  for (int64_t e = 0; e < spec.experts; ++e) {
    const Scope expert = s / spec.list / std::to_string(e);
    declare(gate_, expert / spec.gate, spec.inner, spec.hidden, Axis::kOut, spec.bias);
    declare(up_, expert / spec.up, spec.inner, spec.hidden, Axis::kOut, spec.bias);
    declare(down_, expert / spec.down, spec.hidden, spec.inner, Axis::kIn, spec.bias);
  }
  if (spec.shared) shared_ = std::make_unique<const Mlp>(s / spec.shared_name, *spec.shared);
  if (spec.shared && !spec.shared_gate.empty()) shared_gate_.emplace(s / spec.shared_gate, spec.hidden, 1, Split{});
}

ops::Routing Moe::route(Ctx& cx, const Tensor& x) const {
  Tensor logits = router_.forward(cx, router_norm_ ? router_norm_->forward(cx, x) : x);
  if (spec_.router_scale != 1) logits = ops::scale(cx, logits, static_cast<float>(spec_.router_scale));
  ops::Routing r = ops::route(cx, logits, spec_.routing, correction_);
  return expert_scale_ ? ops::scale_experts(cx, std::move(r), *expert_scale_) : r;
}

Tensor Moe::routed(Ctx& cx, const Tensor& input) const {
  const ops::Routing r = route(cx, input);
  const Tensor x = expert_norm_ ? expert_norm_->forward(cx, input) : input;
  const ops::ExpertParam *in[] = {&gate_, &up_}, *out[] = {&down_};
  Tensor h[2], down[1];
  ops::expert_linear(cx, x, ops::From::kRows, r, in, h);
  if (spec_.weigh_input) {  // of linear maps: their results, in the order of positions
    const Tensor weights = ops::gather_rows(cx, r.weights, r.routed.rows, r.pairs);
    for (Tensor& t : h) t = ops::scale_rows(cx, t, weights);
  }
  ops::expert_linear(cx, ops::act_mul(cx, h[0], h[1], spec_.act, spec_.clamp), ops::From::kPositions, r, out, down);
  return spec_.weigh_input ? ops::gather_rows(cx, down[0], r.routed.positions, x.rows()) : ops::combine(cx, down[0], r);
}

Tensor Moe::forward(Ctx& cx, const Tensor& x) const {
  const Tensor y = routed(cx, x);
  if (!shared_) return y;
  Tensor always = shared_->forward(cx, x);
  if (shared_gate_) always = ops::scale_rows(cx, always, ops::act_mul(cx, shared_gate_->forward(cx, x), {}, Activation::kSigmoid));
  return ops::add(cx, y, always);
}

void require_experts(const Config& c, const MoeSpec& spec, const char* experts_key, const char* top_k_key) {
  constexpr int64_t kMost = 4096;  // far above any model's; bounds what a config can make us allocate
  c.require(spec.experts <= kMost, experts_key, "at most 4096");
  c.require(spec.routing.top_k <= spec.experts, top_k_key, "at most the number of experts");
}

}  // namespace transom::nn
