// norm, add_norm, add: normalisation with the residual addition that precedes it.
#include "ops/require.h"

namespace transom::ops {
namespace {

const float* data(const Param* p) {
  return p && p->weight ? reinterpret_cast<const float*>(p->weight.view.data) : nullptr;
}

void run(Ctx& cx, const NormParam& p, NormArgs a) {
  a.weight = data(p.weight);
  a.bias = data(p.bias);
  a.eps = p.eps;
  a.weight_offset = p.weight_offset;
  a.whole_weight = a.groups > 1 && p.weight && p.weight->cols == a.x.cols;
  (p.kind == Norm::kRms ? cx.kernels.rms_norm : cx.kernels.layer_norm)(a, cx.stream);
}

// Records d norm / d s for the value `s` that was normed.
void record(Ctx& cx, const Tensor& s, const Tensor& y, const NormParam& p, int64_t groups) {
  cx.tape->record([s, y, p, groups](Ctx& cx) {
    if (!cx.tape->has_grad(y)) return;
    NormGradArgs g{.s = s.view, .dy = cx.tape->grad(cx, y), .ds_acc = {}};
    if (s.node >= 0) g.ds_acc = cx.tape->grad(cx, s);
    if (cx.tape->trains(p.weight))
      g.dw_acc = static_cast<float*>(cx.tape->param_grad(p.weight, cx.kernels, cx.stream).data);
    if (cx.tape->trains(p.bias)) g.db_acc = static_cast<float*>(cx.tape->param_grad(p.bias, cx.kernels, cx.stream).data);
    g.weight = data(p.weight);
    g.eps = p.eps;
    g.weight_offset = p.weight_offset;
    g.groups = groups;
    g.whole_weight = groups > 1 && p.weight && p.weight->cols == s.cols();
    const bool rms = p.kind == Norm::kRms;
    require(cx, rms ? cx.kernels.rms_norm_grad : cx.kernels.layer_norm_grad, rms ? "rms_norm_grad" : "layer_norm_grad")(
        g, cx.stream);
  });
}

// Records that the gradient of `sum` flows on to x and, scaled, to pending.
void record_sum(Ctx& cx, const Tensor& x, const Tensor& pending, const Tensor& sum, float scale) {
  cx.tape->record([x, pending, sum, scale](Ctx& cx) {
    if (!cx.tape->has_grad(sum)) return;
    const View d = cx.tape->grad(cx, sum);
    if (x.node >= 0) cx.kernels.axpby({.x = d, .y = cx.tape->grad(cx, x), .a = 1.f, .b = 1.f}, cx.stream);
    if (pending.node >= 0)
      cx.kernels.axpby({.x = d, .y = cx.tape->grad(cx, pending), .a = scale, .b = 1.f}, cx.stream);
  });
}

}  // namespace

Tensor norm(Ctx& cx, const Tensor& x, const NormParam& p, int64_t groups) {
  CHECK(x.cols() % groups == 0);
  Tensor y = cx.arena.tensor(cx.dtype, x.rows(), x.cols());
  run(cx, p, {.x = x.view, .pending = {}, .sum = {}, .y = y.view, .groups = groups});
  if (cx.tape) {
    cx.tape->track(y);
    record(cx, x, y, p, groups);
  }
  return y;
}

AddNorm add_norm(Ctx& cx, const Tensor& x, const Tensor& pending, const NormParam& p, float scale) {
  if (!pending) return {x, norm(cx, x, p)};
  CHECK(x.rows() == pending.rows() && x.cols() == pending.cols());
  AddNorm r{x, cx.arena.tensor(cx.dtype, x.rows(), x.cols())};
  if (cx.tape) {
    r.sum = cx.arena.tensor(cx.dtype, x.rows(), x.cols());
    cx.tape->track(r.sum);
    cx.tape->track(r.y);
  }
  run(cx, p, {.x = x.view, .pending = pending.view, .sum = r.sum.view, .y = r.y.view, .pending_scale = scale});
  if (cx.tape) {
    record_sum(cx, x, pending, r.sum, scale);
    record(cx, r.sum, r.y, p, 1);
  }
  return r;
}

Tensor add(Ctx& cx, const Tensor& x, const Tensor& pending, float scale) {
  CHECK(x.rows() == pending.rows() && x.cols() == pending.cols());
  if (!cx.tape) {
    cx.kernels.axpby({.x = pending.view, .y = x.view, .a = scale, .b = 1.f}, cx.stream);
    return x;
  }
  Tensor sum = cx.arena.tensor(cx.dtype, x.rows(), x.cols());
  cx.kernels.axpby({.x = x.view, .y = sum.view, .a = 1.f, .b = 0.f}, cx.stream);
  cx.kernels.axpby({.x = pending.view, .y = sum.view, .a = scale, .b = 1.f}, cx.stream);
  cx.tape->track(sum);
  record_sum(cx, x, pending, sum, scale);
  return sum;
}

}  // namespace transom::ops
