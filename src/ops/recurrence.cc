// causal_conv, time_steps, linear_recurrence, selective_scan and wkv: what layers with a recurrence are made of.
#include <vector>

#include "kernels/recurrence_grad.h"
#include "ops/require.h"

namespace transom::ops {
namespace {

const float* vector_data(const Param* p) { return p && p->weight ? reinterpret_cast<const float*>(p->weight.view.data) : nullptr; }

// The gradient of a parameter as its numbers, null where it is not wanted.
float* param_grad(Ctx& cx, const Param* p) {
  return cx.tape->trains(p) ? cx.tape->param_grad(p, cx.kernels, cx.stream).row<float>(0) : nullptr;
}

// The layer's sequences and its part of their state, `size` numbers of each.
template <class Args>
void set_state(const Ctx& cx, const Kept& kept, int64_t size, Args& a) {
  a.seqs = cx.batch.recurrent;
  if (kept.state < 0 || cx.states.empty()) {
    a.seqs.slots = a.seqs.before = nullptr;
    return;
  }
  const View& slots = cx.states[kept.state].slots;
  CHECK(a.seqs.slots && !cx.tape && kept.begin + size <= slots.cols);
  a.state = {static_cast<float*>(slots.data) + kept.begin, DType::kF32, slots.rows, size, slots.stride};
}

// On a tape: `backward` takes the gradient that has flowed to y, if any has.
template <class Backward>
void record(Ctx& cx, Tensor& y, Backward backward) {
  if (!cx.tape) return;
  cx.tape->track(y);
  cx.tape->record([y, backward](Ctx& cx) {
    if (cx.tape->has_grad(y)) backward(cx, cx.tape->grad(cx, y));
  });
}

CausalConvArgs convolution(Ctx& cx, const Tensor& x, const Tensor& y, const float* weight, int64_t width, const float* bias, const Kept& kept) {
  CausalConvArgs a{.x = x.view, .weight = weight, .bias = bias, .width = width, .y = y.view, .seqs = {}, .state = {}};
  set_state(cx, kept, (width - 1) * x.cols(), a);
  require(cx, cx.kernels.causal_conv, "causal_conv")(a, cx.stream);
  return a;
}

}  // namespace

Tensor causal_conv(Ctx& cx, const Tensor& x, const Param& weight, const Param* bias, const Kept& kept) {
  CHECK(weight.rows == x.cols());
  Tensor y = cx.arena.tensor(cx.dtype, x.rows(), x.cols());
  const CausalConvArgs a = convolution(cx, x, y, vector_data(&weight), weight.cols, vector_data(bias), kept);
  record(cx, y, [a, x, &weight, bias](Ctx& cx, const View& dy) {
    require(cx, cx.kernels.causal_conv_grad, "causal_conv_grad")(
        {.forward = a, .dy = dy, .dx_acc = cx.tape->grad(cx, x), .dweight_acc = param_grad(cx, &weight), .dbias_acc = param_grad(cx, bias)},
        cx.stream);
  });
  return y;
}

// A convolution of width 2, whose weights are 1 - mix and mix.
Tensor token_shift(Ctx& cx, const Tensor& x, const Param& mix, const Kept& kept) {
  CHECK(mix.cols == x.cols());
  std::vector<float> m(mix.cols), weight;
  cx.kernels.copy_to_host(m.data(), vector_data(&mix), sizeof(float) * m.size(), cx.stream);
  for (const float now : m) weight.insert(weight.end(), {1 - now, now});
  Tensor y = cx.arena.tensor(cx.dtype, x.rows(), x.cols());
  const CausalConvArgs a = convolution(cx, x, y, upload(cx, weight), 2, nullptr, kept);
  record(cx, y, [a, x, &mix](Ctx& cx, const View& dy) {
    CausalConvGradArgs g{.forward = a, .dy = dy, .dx_acc = cx.tape->grad(cx, x)};
    const Tensor dweight = cx.arena.tensor(DType::kF32, mix.cols, 2);
    if (cx.tape->trains(&mix)) {
      cx.kernels.fill_zero(dweight.view.data, sizeof(float) * 2 * mix.cols, cx.stream);
      g.dweight_acc = dweight.view.row<float>(0);
    }
    require(cx, cx.kernels.causal_conv_grad, "causal_conv_grad")(g, cx.stream);
    if (!g.dweight_acc) return;
    const View dmix{param_grad(cx, &mix), DType::kF32, mix.cols, 1, 1};
    cx.kernels.axpby({.x = dweight.columns(1, 1).view, .y = dmix, .a = 1.f, .b = 1.f}, cx.stream);
    cx.kernels.axpby({.x = dweight.columns(0, 1).view, .y = dmix, .a = -1.f, .b = 1.f}, cx.stream);
  });
  return y;
}

Tensor wkv(Ctx& cx, const Tensor& k, const Tensor& v, const Param& decay, const Param& first, const Kept& kept) {
  CHECK(k.cols() == v.cols() && decay.cols == k.cols() && first.cols == k.cols());
  Tensor y = cx.arena.tensor(cx.dtype, k.rows(), k.cols());
  WkvArgs a{.k = k.view, .v = v.view, .decay = vector_data(&decay), .first = vector_data(&first), .y = y.view, .seqs = {}, .state = {}};
  set_state(cx, kept, 3 * k.cols(), a);
  require(cx, cx.kernels.wkv, "wkv")(a, cx.stream);
  record(cx, y, [a, k, v, &decay, &first](Ctx& cx, const View& dy) {
    require(cx, cx.kernels.wkv_grad, "wkv_grad")({.forward = a, .dy = dy, .dk_acc = cx.tape->grad(cx, k), .dv_acc = cx.tape->grad(cx, v),
                                                  .ddecay_acc = param_grad(cx, &decay), .dfirst_acc = param_grad(cx, &first)}, cx.stream);
  });
  return y;
}

TimeSteps time_steps(Ctx& cx, const Tensor& x, const Param& bias, const Param& a_log, float least, float most) {
  CHECK(bias.cols == x.cols() && a_log.cols == x.cols());
  TimeSteps t{cx.arena.tensor(DType::kF32, x.rows(), x.cols()), cx.arena.tensor(DType::kF32, x.rows(), x.cols())};
  const TimeStepArgs a{.x = x.view, .bias = vector_data(&bias), .a_log = vector_data(&a_log), .least = least, .most = most,
                       .dt = t.dt.view, .log_decay = t.log_decay.view};
  require(cx, cx.kernels.time_step, "time_step")(a, cx.stream);
  if (cx.tape) cx.tape->track(t.dt);
  record(cx, t.log_decay, [a, x, dt = t.dt, &bias, &a_log](Ctx& cx, const View& dlog_decay) {
    TimeStepGradArgs g{.forward = a, .ddt = {}, .dlog_decay = dlog_decay, .dx_acc = cx.tape->grad(cx, x),
                       .dbias_acc = param_grad(cx, &bias), .da_log_acc = param_grad(cx, &a_log)};
    if (cx.tape->has_grad(dt)) g.ddt = cx.tape->grad(cx, dt);
    require(cx, cx.kernels.time_step_grad, "time_step_grad")(g, cx.stream);
  });
  return t;
}

Tensor linear_recurrence(Ctx& cx, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& log_decay, const Tensor& factor,
                         const LinearRecurrenceParam& p) {
  CHECK(p.heads % p.key_heads == 0 && q.cols() == k.cols() && q.cols() % p.key_heads == 0 && v.cols() % p.heads == 0);
  CHECK(log_decay.cols() == p.heads && factor.cols() == p.heads);
  Tensor y = cx.arena.tensor(cx.dtype, v.rows(), v.cols());
  LinearRecurrenceArgs a{.q = q.view, .k = k.view, .v = v.view, .log_decay = log_decay.view, .factor = factor.view,
                         .skip = vector_data(p.skip), .y = y.view, .heads = p.heads, .key_heads = p.key_heads, .scale = p.scale,
                         .delta = p.delta, .seqs = {}, .state = {}};
  set_state(cx, p.kept, q.cols() / p.key_heads * v.cols(), a);
  require(cx, cx.kernels.linear_recurrence, "linear_recurrence")(a, cx.stream);
  record(cx, y, [a, q, k, v, log_decay, factor, skip = p.skip](Ctx& cx, const View& dy) {
    Tape& tape = *cx.tape;
    require(cx, cx.kernels.linear_recurrence_grad, "linear_recurrence_grad")(
        {.forward = a, .dy = dy, .dq_acc = tape.grad(cx, q), .dk_acc = tape.grad(cx, k), .dv_acc = tape.grad(cx, v),
         .dlog_decay_acc = tape.grad(cx, log_decay), .dfactor_acc = tape.grad(cx, factor), .dskip_acc = param_grad(cx, skip)}, cx.stream);
  });
  return y;
}

Tensor selective_scan(Ctx& cx, const Tensor& x, const Tensor& dt, const Tensor& b, const Tensor& c, const SelectiveScanParam& p) {
  CHECK(dt.cols() == x.cols() && b.cols() == c.cols() && p.a_log->rows == x.cols() && p.a_log->cols == b.cols());
  Tensor y = cx.arena.tensor(cx.dtype, x.rows(), x.cols());
  SelectiveScanArgs a{.x = x.view, .dt = dt.view, .b = b.view, .c = c.view, .a_log = vector_data(p.a_log),
                      .skip = vector_data(p.skip), .y = y.view, .seqs = {}, .state = {}};
  set_state(cx, p.kept, x.cols() * b.cols(), a);
  require(cx, cx.kernels.selective_scan, "selective_scan")(a, cx.stream);
  record(cx, y, [a, x, dt, b, c, a_log = p.a_log, skip = p.skip](Ctx& cx, const View& dy) {
    Tape& tape = *cx.tape;
    require(cx, cx.kernels.selective_scan_grad, "selective_scan_grad")(
        {.forward = a, .dy = dy, .dx_acc = tape.grad(cx, x), .ddt_acc = tape.grad(cx, dt), .db_acc = tape.grad(cx, b),
         .dc_acc = tape.grad(cx, c), .da_log_acc = param_grad(cx, a_log), .dskip_acc = param_grad(cx, skip)}, cx.stream);
  });
  return y;
}

Tensor repeat(Ctx& cx, const Tensor& x, int64_t times) {
  Tensor y = cx.arena.tensor(x.dtype(), x.rows(), x.cols() * times);
  for (int64_t i = 0; i < times; ++i) cx.kernels.axpby({.x = x.view, .y = y.columns(i * x.cols(), x.cols()).view, .b = 0}, cx.stream);
  record(cx, y, [x, times](Ctx& cx, const View& dy) {
    const Tensor parts{.view = dy, .owner = {}};
    for (int64_t i = 0; i < times; ++i)
      cx.kernels.axpby({.x = parts.columns(i * x.cols(), x.cols()).view, .y = cx.tape->grad(cx, x), .b = 1.f}, cx.stream);
  });
  return y;
}

Tensor side_by_side(Ctx& cx, std::span<const Tensor> parts) {
  Tensor all = parts[0];
  all.node = -1;
  for (const Tensor& t : parts.subspan(1)) {
    CHECK(t.view.stride == all.view.stride && t.rows() == all.rows());
    CHECK(t.view.data == static_cast<std::byte*>(all.view.data) + all.cols() * info(all.dtype()).bytes);
    all.view.cols += t.cols();
  }
  record(cx, all, [parts = std::vector<Tensor>(parts.begin(), parts.end())](Ctx& cx, const View& dy) {
    const Tensor d{.view = dy, .owner = {}};
    int64_t at = 0;
    for (const Tensor& t : parts) {
      cx.kernels.axpby({.x = d.columns(at, t.cols()).view, .y = cx.tape->grad(cx, t), .b = 1.f}, cx.stream);
      at += t.cols();
    }
  });
  return all;
}

}  // namespace transom::ops
