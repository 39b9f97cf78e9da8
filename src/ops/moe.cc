// Mixtures of experts: routing, the linear layers of the routed experts, and the weighted sum of their outputs.
#include <algorithm>
#include <array>

#include "ops/require.h"

namespace transom::ops {
namespace {

constexpr size_t kMaxSegments = 4;

int32_t* numbers(Ctx& cx, int64_t count) { return reinterpret_cast<int32_t*>(cx.arena.allocate(sizeof(int32_t) * std::max<int64_t>(count, 1))); }

// What lies on the device, for loops over the routed experts on the host: backward and adapters.
std::vector<int32_t> host_copy(Ctx& cx, const int32_t* values, int64_t count) {
  std::vector<int32_t> host(count);
  cx.kernels.copy_to_host(host.data(), values, sizeof(int32_t) * count, cx.stream);
  return host;
}

View rows_of(View v, int64_t begin, int64_t count) {
  v.data = static_cast<std::byte*>(v.data) + begin * v.stride * info(v.dtype).bytes;
  v.rows = count;
  return v;
}

// y[positions of a's rows] += scale * (x Aᵀ) Bᵀ. The positions of one expert are in the order of rows, so those of an adapter
// lie side by side.
void apply_adapter(Ctx& cx, const AdapterRows& a, const Tensor& x, From from, const Routing& r, const ExpertParam& p, const Tensor& y) {
  const auto names = [&](const Param* w) { return a.adapter->factors.contains(w); };
  if (std::none_of(p.weights.begin(), p.weights.end(), names)) return;
  const std::vector<int32_t> offsets = host_copy(cx, r.routed.offsets, r.experts + 1), rows = host_copy(cx, r.routed.rows, r.pairs);
  for (int64_t e = 0; e < r.experts; ++e) {
    const auto it = a.adapter->factors.find(p.weights[e]);
    if (it == a.adapter->factors.end()) continue;
    const auto first = rows.begin() + offsets[e], last = rows.begin() + offsets[e + 1];
    const int64_t begin = std::lower_bound(first, last, a.begin) - rows.begin();
    const int64_t count = std::lower_bound(first, last, a.begin + a.count) - rows.begin() - begin;
    if (count == 0) continue;
    Tensor xr = from == From::kPositions ? x.row_range(begin, count) : cx.arena.tensor(cx.dtype, count, x.cols());
    if (from == From::kRows) cx.kernels.gather_rows({.x = x.view, .rows = r.routed.rows + begin, .y = xr.view}, cx.stream);
    const LoraFactors& f = it->second;
    const Tensor low = cx.arena.tensor(cx.dtype, count, f.a.view.rows);
    const LinearSegment down{f.a.view, nullptr, low.view}, up{f.b.view, nullptr, rows_of(y.view, begin, count)};
    cx.kernels.linear({.x = xr.view, .segments = {&down, 1}}, cx.stream);
    cx.kernels.linear({.x = low.view, .segments = {&up, 1}, .alpha = f.scale, .beta = 1.f}, cx.stream);
  }
}

void weight_grads(Ctx& cx, const Param* weight, const Param* bias, const View& dy, const View& x) {
  const bool has_bias = cx.tape->trains(bias);
  if (!cx.tape->trains(weight) && !has_bias) return;
  LinearGradWeightArgs g{.dy = dy, .x = x, .dw_acc = {}};
  if (cx.tape->trains(weight)) g.dw_acc = cx.tape->param_grad(weight, cx.kernels, cx.stream);
  if (has_bias) g.db_acc = static_cast<float*>(cx.tape->param_grad(bias, cx.kernels, cx.stream).data);
  require(cx, cx.kernels.linear_grad_weight, "linear_grad_weight")(g, cx.stream);
}

// x [T * k, K] in the order of positions.
void record_expert_linear(Ctx& cx, const Tensor& x, const Routing& r, const ExpertParam& p, const Tensor& y) {
  cx.tape->record([x, r, &p, y](Ctx& cx) {
    if (!cx.tape->has_grad(y)) return;
    const View all = cx.tape->grad(cx, y);
    const std::vector<int32_t> offsets = host_copy(cx, r.routed.offsets, r.experts + 1);
    for (int64_t e = 0; e < r.experts; ++e) {
      const int64_t begin = offsets[e], count = offsets[e + 1] - begin;
      if (count == 0) continue;
      const View dy = rows_of(all, begin, count);
      if (x.node >= 0)
        require(cx, cx.kernels.linear_grad_input, "linear_grad_input")(
            {.dy = dy, .weight = *p.weight_views[e], .dx_acc = rows_of(cx.tape->grad(cx, x), begin, count)}, cx.stream);
      weight_grads(cx, p.weights[e], p.biases.empty() ? nullptr : p.biases[e], dy, rows_of(x.view, begin, count));
    }
  });
}

Tensor combined(Ctx& cx, const Tensor& x, const int32_t* positions, const Tensor& weights) {
  Tensor y = cx.arena.tensor(cx.dtype, weights.rows(), x.cols());
  const CombineRowsArgs a{.x = x.view, .positions = positions, .weights = weights.view, .y = y.view};
  require(cx, cx.kernels.combine_rows, "combine_rows")(a, cx.stream);
  if (cx.tape) {
    cx.tape->track(y);
    cx.tape->record([a, x, weights, y](Ctx& cx) {
      if (!cx.tape->has_grad(y)) return;
      CombineRowsGradArgs g{.forward = a, .dy = cx.tape->grad(cx, y), .dx_acc = {}, .dweights_acc = {}};
      if (x.node >= 0) g.dx_acc = cx.tape->grad(cx, x);
      if (weights.node >= 0) g.dweights_acc = cx.tape->grad(cx, weights);
      require(cx, cx.kernels.combine_rows_grad, "combine_rows_grad")(g, cx.stream);
    });
  }
  return y;
}

}  // namespace

void ExpertParam::add(const Param* weight, const Param* bias) {
  weights.push_back(weight);
  weight_views.push_back(&weight->weight.view);
  if (!bias) return;
  biases.push_back(bias);
  bias_views.push_back(&bias->weight.view);
}

Routing route(Ctx& cx, const Tensor& logits, const RoutingRule& rule, const Param* bias) {
  const int64_t rows = logits.rows(), experts = logits.cols(), pairs = rows * rule.top_k;
  CHECK(rule.top_k <= experts && experts % rule.groups == 0 && rule.group_best <= experts / rule.groups);
  CHECK(rule.top_k <= experts / rule.groups * rule.top_groups && rule.top_groups <= rule.groups);
  Routing r{.weights = cx.arena.tensor(DType::kF32, rows, rule.top_k),
            .routed = {numbers(cx, pairs), numbers(cx, pairs), numbers(cx, pairs), numbers(cx, experts + 1)},
            .experts = experts, .pairs = pairs};
  const RoutingArgs a{.logits = logits.view, .bias = bias ? reinterpret_cast<const float*>(bias->weight.view.data) : nullptr,
                      .rule = rule, .routed = r.routed, .weights = r.weights.view};
  require(cx, cx.kernels.routing, "routing")(a, cx.stream);
  if (cx.tape) {
    cx.tape->track(r.weights);
    cx.tape->record([a, logits, weights = r.weights](Ctx& cx) {
      if (!cx.tape->has_grad(weights) || logits.node < 0) return;
      require(cx, cx.kernels.routing_grad, "routing_grad")(
          {.forward = a, .dweights = cx.tape->grad(cx, weights), .dlogits_acc = cx.tape->grad(cx, logits)}, cx.stream);
    });
  }
  return r;
}

Routing scale_experts(Ctx& cx, Routing r, const Param& factors) {
  // The same numbers, and the same slot on a tape, in another shape: rows lie one after the other.
  const auto shaped = [](Tensor t, int64_t rows, int64_t cols) {
    CHECK(t.view.stride == t.view.cols);
    t.view.rows = rows, t.view.cols = t.view.stride = cols;
    return t;
  };
  const int64_t rows = r.weights.rows(), k = r.weights.cols();
  const Tensor chosen = embedding(cx, factors, r.routed.experts, r.pairs);
  r.weights = shaped(scale_rows(cx, shaped(r.weights, r.pairs, 1), chosen), rows, k);
  return r;
}

void expert_linear(Ctx& cx, const Tensor& x, From from, const Routing& r, std::span<const ExpertParam* const> params, std::span<Tensor> out) {
  CHECK(params.size() == out.size() && params.size() <= kMaxSegments);
  if (cx.tape && from == From::kRows)  // the backward wants them in the order of positions
    return expert_linear(cx, gather_rows(cx, x, r.routed.rows, r.pairs), From::kPositions, r, params, out);
  int64_t total = 0;
  for (const ExpertParam* p : params) {
    CHECK(static_cast<int64_t>(p->weights.size()) == r.experts && p->weights[0]->cols == x.cols());
    total += p->weights[0]->rows;
  }
  const Tensor all = cx.arena.tensor(cx.dtype, r.pairs, total);
  std::array<ExpertSegment, kMaxSegments> segments;
  int64_t column = 0;
  for (size_t i = 0; i < params.size(); ++i) {
    const ExpertParam& p = *params[i];
    out[i] = all.columns(column, p.weights[0]->rows);
    column += p.weights[0]->rows;
    segments[i] = {p.weight_views.data(), p.biases.empty() ? nullptr : p.bias_views.data(), out[i].view};
  }
  require(cx, cx.kernels.expert_linear, "expert_linear")({.x = x.view, .rows = from == From::kRows ? r.routed.rows : nullptr,
                                                          .offsets = r.routed.offsets, .experts = r.experts,
                                                          .segments = {segments.data(), params.size()}}, cx.stream);
  for (const AdapterRows& a : cx.adapters)
    for (size_t i = 0; i < params.size(); ++i) apply_adapter(cx, a, x, from, r, *params[i], out[i]);
  if (cx.tape)
    for (size_t i = 0; i < params.size(); ++i) {
      cx.tape->track(out[i]);
      record_expert_linear(cx, x, r, *params[i], out[i]);
    }
}

Tensor combine(Ctx& cx, const Tensor& x, const Routing& r) { return combined(cx, x, r.routed.positions, r.weights); }

Tensor scale_rows(Ctx& cx, const Tensor& x, const Tensor& factors) {
  CHECK(factors.cols() == 1 && factors.rows() == x.rows());
  return combined(cx, x, nullptr, factors);
}

}  // namespace transom::ops
