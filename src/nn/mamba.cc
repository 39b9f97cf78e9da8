// Mamba, Mamba2: see mamba.h.
#include "nn/mamba.h"

#include <algorithm>

namespace transom::nn {
namespace {

using Axis = Split::Axis;

constexpr Bias bias_if(bool has) { return has ? Bias::kRequired : Bias::kNone; }

NormLayer part_norm(const Scope& s, NormSpec norm, int64_t size) {
  norm.size = size;
  return NormLayer(s, norm);
}

}  // namespace

Mamba::Mamba(const Scope& s, const MambaSpec& spec)
    : spec_(spec),
      in_(s / "in_proj", spec.hidden, 2 * spec.inner, {Axis::kOut, 1}, bias_if(spec.bias)),
      conv_(s / "conv1d", spec.inner, spec.conv, spec.conv_bias),
      parts_(s / "x_proj", spec.inner, spec.time_rank + 2 * spec.state, {Axis::kIn, 1}),
      time_(s / "dt_proj", spec.time_rank, spec.inner, {Axis::kOut, 1}, Bias::kRequired),
      a_log_(s.vectors("A_log", spec.inner, spec.state, {Axis::kOut, 1})),
      skip_(s.vector("D", spec.inner, {Axis::kOut, 1})),
      out_(s / "out_proj", spec.inner, spec.hidden, {Axis::kIn, 1}, bias_if(spec.bias)),
      state_(s.state({.per_sequence = conv_.kept() + spec.inner * spec.state})) {
  if (!spec.parts_norm) return;
  time_norm_ = part_norm(s / "dt_layernorm", *spec.parts_norm, spec.time_rank);
  b_norm_ = part_norm(s / "b_layernorm", *spec.parts_norm, spec.state);
  c_norm_ = part_norm(s / "c_layernorm", *spec.parts_norm, spec.state);
}

Tensor Mamba::forward(Ctx& cx, const Tensor& x) const {
  const Tensor in = in_.forward(cx, x);
  const Tensor mixed = ops::act_mul(cx, conv_.forward(cx, ops::columns(cx, in, 0, spec_.inner), {state_, 0}), {}, spec_.act);
  const Tensor parts = parts_.forward(cx, mixed);
  Tensor time = ops::columns(cx, parts, 0, spec_.time_rank), b = ops::columns(cx, parts, spec_.time_rank, spec_.state);
  Tensor c = ops::columns(cx, parts, spec_.time_rank + spec_.state, spec_.state);
  if (time_norm_) {
    time = time_norm_->forward(cx, time);
    b = b_norm_->forward(cx, b);
    c = c_norm_->forward(cx, c);
  }
  const Tensor y = ops::selective_scan(cx, mixed, time_.forward(cx, time), b, c, {a_log_, skip_, {state_, conv_.kept()}});
  return out_.forward(cx, ops::act_mul(cx, ops::columns(cx, in, spec_.inner, spec_.inner), y, spec_.act));
}

Mamba2::Mamba2(const Scope& s, const Mamba2Spec& spec)
    : spec_(spec),
      in_(s / "in_proj", spec.hidden, 2 * spec.heads * spec.head_dim + 2 * spec.groups * spec.state + spec.heads, {Axis::kOut, 1},
          bias_if(spec.bias)),
      conv_(s / "conv1d", spec.heads * spec.head_dim + 2 * spec.groups * spec.state, spec.conv, spec.conv_bias),
      dt_bias_(s.vector("dt_bias", spec.heads, {Axis::kOut, 1})),
      a_log_(s.vector("A_log", spec.heads, {Axis::kOut, 1})),
      skip_(s.vector("D", spec.heads, {Axis::kOut, 1})),
      out_(s / "out_proj", spec.heads * spec.head_dim, spec.hidden, {Axis::kIn, spec.head_dim}, bias_if(spec.bias)),
      state_(s.state({.per_sequence = conv_.kept() + spec.heads * spec.head_dim * spec.state})) {
  if (!spec.norm) return;
  NormSpec norm = *spec.norm;
  norm.size = spec.heads * spec.head_dim;
  norm_.emplace(s / "norm", norm);
}

Tensor Mamba2::scaled(Ctx& cx, const Tensor& in) const {
  const std::array<double, 5>& by = spec_.scales;
  if (std::all_of(by.begin(), by.end(), [](double s) { return s == 1; })) return in;
  const int64_t inner = spec_.heads * spec_.head_dim, keys = spec_.groups * spec_.state;
  const std::array<int64_t, 5> sizes = {inner, inner, keys, keys, spec_.heads};
  std::array<ops::ScaledPart, 5> parts;
  for (size_t i = 0; i < parts.size(); ++i) parts[i] = {sizes[i], static_cast<float>(by[i])};
  return ops::scale_parts(cx, in, parts);
}

Tensor Mamba2::forward(Ctx& cx, const Tensor& x) const {
  const int64_t inner = spec_.heads * spec_.head_dim, keys = spec_.groups * spec_.state;
  const Tensor in = scaled(cx, in_.forward(cx, x));
  const Tensor z = ops::columns(cx, in, 0, inner), t = ops::columns(cx, in, 2 * inner + 2 * keys, spec_.heads);
  const Tensor mixed = ops::act_mul(cx, conv_.forward(cx, ops::columns(cx, in, inner, inner + 2 * keys), {state_, 0}), {}, spec_.act);
  const ops::TimeSteps steps = ops::time_steps(cx, t, *dt_bias_, *a_log_, static_cast<float>(spec_.time_least),
                                               static_cast<float>(spec_.time_most));
  const Tensor b = ops::columns(cx, mixed, inner, keys), c = ops::columns(cx, mixed, inner + keys, keys);
  const Tensor y = ops::linear_recurrence(cx, c, b, ops::columns(cx, mixed, 0, inner), steps.log_decay, steps.dt,
                                          {.heads = spec_.heads, .key_heads = spec_.groups, .skip = skip_,
                                           .kept = {state_, conv_.kept()}});
  const bool first = norm_ && spec_.gate_last;
  const Tensor gated = ops::act_mul(cx, z, first ? norm_->forward(cx, y, spec_.norm_groups) : y, spec_.act);
  return out_.forward(cx, norm_ && !first ? norm_->forward(cx, gated, spec_.norm_groups) : gated);
}

}  // namespace transom::nn
