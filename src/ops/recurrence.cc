// causal_conv, time_steps, linear_recurrence and selective_scan: what layers with a recurrence are made of.
#include <vector>

#include "ops/require.h"

namespace transom::ops {
namespace {

const float* vector_data(const Param* p) { return p && p->weight ? reinterpret_cast<const float*>(p->weight.view.data) : nullptr; }

// The kernel `row`, for a step that needs no gradient.
template <class Row>
Row forward_only(const Ctx& cx, Row row, const char* op) {
  if (cx.tape) fail(Code::kUnsupported, op, "expected inference, got training: it has no gradient yet");
  return require(cx, row, op);
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
  CHECK(a.seqs.slots && kept.begin + size <= slots.cols);
  a.state = {static_cast<float*>(slots.data) + kept.begin, DType::kF32, slots.rows, size, slots.stride};
}

// weight [C, width]
Tensor convolved(Ctx& cx, const Tensor& x, const float* weight, int64_t width, const float* bias, const Kept& kept) {
  const Tensor y = cx.arena.tensor(cx.dtype, x.rows(), x.cols());
  CausalConvArgs a{.x = x.view, .weight = weight, .bias = bias, .width = width, .y = y.view, .seqs = {}, .state = {}};
  set_state(cx, kept, (width - 1) * x.cols(), a);
  forward_only(cx, cx.kernels.causal_conv, "causal_conv")(a, cx.stream);
  return y;
}

}  // namespace

Tensor causal_conv(Ctx& cx, const Tensor& x, const Param& weight, const Param* bias, const Kept& kept) {
  CHECK(weight.rows == x.cols());
  return convolved(cx, x, vector_data(&weight), weight.cols, vector_data(bias), kept);
}

Tensor token_shift(Ctx& cx, const Tensor& x, const Param& mix, const Kept& kept) {
  CHECK(mix.cols == x.cols());
  std::vector<float> m(mix.cols), weight;
  cx.kernels.copy_to_host(m.data(), vector_data(&mix), sizeof(float) * m.size(), cx.stream);
  for (const float now : m) weight.insert(weight.end(), {1 - now, now});
  auto* device = reinterpret_cast<float*>(cx.arena.allocate(sizeof(float) * weight.size()));
  cx.kernels.copy_to_device(device, weight.data(), sizeof(float) * weight.size(), cx.stream);
  return convolved(cx, x, device, 2, nullptr, kept);
}

Tensor wkv(Ctx& cx, const Tensor& k, const Tensor& v, const Param& decay, const Param& first, const Kept& kept) {
  CHECK(k.cols() == v.cols() && decay.cols == k.cols() && first.cols == k.cols());
  const Tensor y = cx.arena.tensor(cx.dtype, k.rows(), k.cols());
  WkvArgs a{.k = k.view, .v = v.view, .decay = vector_data(&decay), .first = vector_data(&first), .y = y.view, .seqs = {}, .state = {}};
  set_state(cx, kept, 3 * k.cols(), a);
  forward_only(cx, cx.kernels.wkv, "wkv")(a, cx.stream);
  return y;
}

TimeSteps time_steps(Ctx& cx, const Tensor& x, const Param& bias, const Param& a_log, float least, float most) {
  CHECK(bias.cols == x.cols() && a_log.cols == x.cols());
  const TimeSteps t{cx.arena.tensor(DType::kF32, x.rows(), x.cols()), cx.arena.tensor(DType::kF32, x.rows(), x.cols())};
  forward_only(cx, cx.kernels.time_step, "time_step")({.x = x.view, .bias = vector_data(&bias), .a_log = vector_data(&a_log),
                                                       .least = least, .most = most, .dt = t.dt.view, .log_decay = t.log_decay.view},
                                                      cx.stream);
  return t;
}

Tensor linear_recurrence(Ctx& cx, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& log_decay, const Tensor& factor,
                         const LinearRecurrenceParam& p) {
  CHECK(p.heads % p.key_heads == 0 && q.cols() == k.cols() && q.cols() % p.key_heads == 0 && v.cols() % p.heads == 0);
  CHECK(log_decay.cols() == p.heads && factor.cols() == p.heads);
  const Tensor y = cx.arena.tensor(cx.dtype, v.rows(), v.cols());
  LinearRecurrenceArgs a{.q = q.view, .k = k.view, .v = v.view, .log_decay = log_decay.view, .factor = factor.view,
                         .skip = vector_data(p.skip), .y = y.view, .heads = p.heads, .key_heads = p.key_heads, .scale = p.scale,
                         .delta = p.delta, .seqs = {}, .state = {}};
  set_state(cx, p.kept, q.cols() / p.key_heads * v.cols(), a);
  forward_only(cx, cx.kernels.linear_recurrence, "linear_recurrence")(a, cx.stream);
  return y;
}

Tensor selective_scan(Ctx& cx, const Tensor& x, const Tensor& dt, const Tensor& b, const Tensor& c, const SelectiveScanParam& p) {
  CHECK(dt.cols() == x.cols() && b.cols() == c.cols() && p.a_log->rows == x.cols() && p.a_log->cols == b.cols());
  const Tensor y = cx.arena.tensor(cx.dtype, x.rows(), x.cols());
  SelectiveScanArgs a{.x = x.view, .dt = dt.view, .b = b.view, .c = c.view, .a_log = vector_data(p.a_log),
                      .skip = vector_data(p.skip), .y = y.view, .seqs = {}, .state = {}};
  set_state(cx, p.kept, x.cols() * b.cols(), a);
  forward_only(cx, cx.kernels.selective_scan, "selective_scan")(a, cx.stream);
  return y;
}

Tensor repeat(Ctx& cx, const Tensor& x, int64_t times) {
  const auto copy = forward_only(cx, cx.kernels.axpby, "repeat");
  Tensor y = cx.arena.tensor(x.dtype(), x.rows(), x.cols() * times);
  for (int64_t i = 0; i < times; ++i) copy({.x = x.view, .y = y.columns(i * x.cols(), x.cols()).view, .b = 0}, cx.stream);
  return y;
}

Tensor side_by_side(std::span<const Tensor> parts) {
  Tensor all = parts[0];
  for (const Tensor& t : parts.subspan(1)) {
    CHECK(t.view.stride == all.view.stride && t.rows() == all.rows());
    CHECK(t.view.data == static_cast<std::byte*>(all.view.data) + all.cols() * info(all.dtype()).bytes);
    all.view.cols += t.cols();
  }
  return all;
}

}  // namespace transom::ops
