// GatedDelta: see gated_delta.h.
#include "nn/gated_delta.h"

#include <array>
#include <cmath>
#include <limits>

namespace transom::nn {
namespace {

using Axis = Split::Axis;

std::vector<FusedLinear::Segment> projections(const GatedDeltaSpec& g) {
  // With a key head go as many value heads.
  const int64_t keys = g.key_heads * g.key_dim, values = g.heads * g.value_dim, group = g.heads / g.key_heads;
  const Split by_key{Axis::kOut, g.key_dim}, by_value{Axis::kOut, group * g.value_dim}, by_head{Axis::kOut, group};
  return {{"in_proj_q", keys, by_key}, {"in_proj_k", keys, by_key}, {"in_proj_v", values, by_value},
          {"in_proj_z", values, by_value}, {"in_proj_b", g.heads, by_head}, {"in_proj_a", g.heads, by_head}};
}

}  // namespace

GatedDelta::GatedDelta(const Scope& s, const GatedDeltaSpec& spec)
    : spec_(spec),
      in_(s, spec.hidden, projections(spec)),
      conv_(s / "conv1d", 2 * spec.key_heads * spec.key_dim + spec.heads * spec.value_dim, spec.conv, false),
      dt_bias_(s.vector("dt_bias", spec.heads, {Axis::kOut, spec.heads / spec.key_heads})),
      a_log_(s.vector("A_log", spec.heads, {Axis::kOut, spec.heads / spec.key_heads})),
      norm_(s / "norm", {.size = spec.value_dim, .eps = spec.eps}),
      out_(s / "out_proj", spec.heads * spec.value_dim, spec.hidden, {Axis::kIn, spec.value_dim}),
      state_(s.state({.per_sequence = conv_.kept() + spec.heads * spec.key_dim * spec.value_dim})) {}

Tensor GatedDelta::forward(Ctx& cx, const Tensor& x) const {
  const std::vector<Tensor> in = in_.forward(cx, x);
  const Tensor &z = in[3], &b = in[4], &a = in[5];
  const Tensor mixed = conv_.forward(cx, ops::side_by_side(cx, std::span(in).first(3)), {state_, 0});
  const Tensor qkv = ops::act_mul(cx, mixed, {}, spec_.act);
  const int64_t keys = spec_.key_heads * spec_.key_dim;
  // A vector of length 1 is one of root mean square 1 over sqrt(dk): for q that is within the recurrence's scale.
  constexpr double kEps = 1e-6;
  const auto dk = static_cast<float>(spec_.key_dim);
  const ops::NormParam unit{.eps = static_cast<float>(kEps / dk)};
  Tensor q = ops::norm(cx, ops::columns(cx, qkv, 0, keys), unit, spec_.key_heads);
  Tensor k = ops::scale(cx, ops::norm(cx, ops::columns(cx, qkv, keys, keys), unit, spec_.key_heads), 1 / std::sqrt(dk));
  if (spec_.tiled) {
    q = ops::repeat(cx, q, spec_.heads / spec_.key_heads);
    k = ops::repeat(cx, k, spec_.heads / spec_.key_heads);
  }
  const ops::TimeSteps steps = ops::time_steps(cx, a, *dt_bias_, *a_log_, 0, std::numeric_limits<float>::max());
  const Tensor y = ops::linear_recurrence(cx, q, k, ops::columns(cx, qkv, 2 * keys, spec_.heads * spec_.value_dim), steps.log_decay,
                                          ops::act_mul(cx, b, {}, Activation::kSigmoid),
                                          {.heads = spec_.heads, .key_heads = spec_.tiled ? spec_.heads : spec_.key_heads, .scale = 1 / dk, .delta = true,
                                           .kept = {state_, conv_.kept()}});
  return out_.forward(cx, ops::act_mul(cx, z, norm_.forward(cx, y, spec_.heads), Activation::kSilu));
}

}  // namespace transom::nn
