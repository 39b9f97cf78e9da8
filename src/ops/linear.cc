// linear and embedding: the only ops that look at a weight's format, and where adapters are applied.
#include <algorithm>
#include <array>
#include <numeric>
#include <vector>

#include "ops/require.h"

namespace transom::ops {
namespace {

const float* vector_data(const Param* p) {
  return p && p->weight ? reinterpret_cast<const float*>(p->weight.view.data) : nullptr;
}

// y[rows of a] += scale * (x Aᵀ) Bᵀ
void apply_adapter(Ctx& cx, const AdapterRows& a, const Param* param, const Tensor& x, const Tensor& y) {
  const auto it = a.adapter->factors.find(param);
  if (it == a.adapter->factors.end()) return;
  const LoraFactors& f = it->second;
  const Tensor xr = x.row_range(a.begin, a.count), yr = y.row_range(a.begin, a.count);
  const Tensor low = cx.arena.tensor(cx.dtype, a.count, f.a.view.rows);
  const LinearSegment down{f.a.view, nullptr, low.view}, up{f.b.view, nullptr, yr.view};
  cx.kernels.linear({.x = xr.view, .segments = {&down, 1}}, cx.stream);
  cx.kernels.linear({.x = low.view, .segments = {&up, 1}, .alpha = f.scale, .beta = 1.f}, cx.stream);
}

struct EmbeddingRows {
  int64_t rows = 0;
  float scale = 1.f;
  int32_t padding = -1;
  int64_t first = 0;
};

void record_linear(Ctx& cx, const Tensor& x, const LinearParam& p, const Tensor& y) {
  cx.tape->record([x, p, y](Ctx& cx) {
    if (!cx.tape->has_grad(y)) return;
    const View dy = cx.tape->grad(cx, y);
    if (x.node >= 0)
      require(cx, cx.kernels.linear_grad_input, "linear_grad_input")(
          {.dy = dy, .weight = p.weight->weight.view, .dx_acc = cx.tape->grad(cx, x)}, cx.stream);
    const bool bias = p.bias && p.bias->weight && cx.tape->trains(p.bias);
    if (!cx.tape->trains(p.weight) && !bias) return;
    LinearGradWeightArgs g{.dy = dy, .x = x.view, .dw_acc = {}};
    if (cx.tape->trains(p.weight)) g.dw_acc = cx.tape->param_grad(p.weight, cx.kernels, cx.stream);
    if (bias) g.db_acc = static_cast<float*>(cx.tape->param_grad(p.bias, cx.kernels, cx.stream).data);
    require(cx, cx.kernels.linear_grad_weight, "linear_grad_weight")(g, cx.stream);
  });
}

}  // namespace

namespace {

Tensor rows_of(Ctx& cx, const Param& table, const int32_t* ids, DType type, const EmbeddingRows& e) {
  CHECK(table.weight && e.first >= 0 && e.first < table.rows);
  Tensor y = cx.arena.tensor(type, e.rows, table.cols);
  WeightView w = table.weight.view;
  w.data += e.first * w.row_bytes;
  w.rows -= e.first;
  cx.kernels.embedding({.weight = w, .ids = ids, .y = y.view, .scale = e.scale}, cx.stream);
  if (!cx.tape) return y;
  cx.tape->track(y);
  cx.tape->record([y, &table, ids, e](Ctx& cx) {
    if (!cx.tape->has_grad(y) || !cx.tape->trains(&table)) return;
    View g = cx.tape->param_grad(&table, cx.kernels, cx.stream);
    g.data = static_cast<float*>(g.data) + e.first * g.stride;
    g.rows -= e.first;
    require(cx, cx.kernels.scatter_rows, "scatter_rows")(
        {.x = cx.tape->grad(cx, y), .rows = ids, .y_acc = g, .scale = e.scale, .skip = e.padding}, cx.stream);
  });
  return y;
}

}  // namespace

Tensor embedding(Ctx& cx, const Param& table, const int32_t* ids, int64_t rows, float scale, int32_t padding, int64_t first) {
  return rows_of(cx, table, ids, cx.dtype, {rows, scale, padding, first});
}

Tensor whole_table(Ctx& cx, const Param& table) {
  std::vector<int32_t> all(table.rows);
  std::iota(all.begin(), all.end(), 0);
  return rows_of(cx, table, upload(cx, all), DType::kF32, {.rows = table.rows});
}

void linear(Ctx& cx, const Tensor& x, std::span<const LinearParam> params, std::span<Tensor> out) {
  constexpr size_t kMaxSegments = 8;
  CHECK(params.size() == out.size() && params.size() <= kMaxSegments);
  int64_t total = 0;
  for (const LinearParam& p : params) {
    CHECK(p.weight->weight && p.weight->cols == x.cols());
    total += p.weight->rows;
  }
  const Tensor all = cx.arena.tensor(cx.dtype, x.rows(), total);
  std::array<LinearSegment, kMaxSegments> segments;
  int64_t column = 0;
  for (size_t i = 0; i < params.size(); ++i) {
    out[i] = all.columns(column, params[i].weight->rows);
    column += params[i].weight->rows;
    segments[i] = {params[i].weight->weight.view, vector_data(params[i].bias), out[i].view};
  }
  cx.kernels.linear({.x = x.view, .segments = {segments.data(), params.size()}}, cx.stream);
  for (const AdapterRows& a : cx.adapters)
    for (size_t i = 0; i < params.size(); ++i) apply_adapter(cx, a, params[i].weight, x, out[i]);
  if (cx.observer)
    for (size_t i = 0; i < params.size(); ++i) cx.observer(params[i].weight->name, out[i]);
  if (cx.tape)
    for (size_t i = 0; i < params.size(); ++i) {
      cx.tape->track(out[i]);
      record_linear(cx, x, params[i], out[i]);
    }
}

Tensor linear(Ctx& cx, const Tensor& x, const LinearParam& param) {
  Tensor y;
  linear(cx, x, {&param, 1}, {&y, 1});
  return y;
}

}  // namespace transom::ops
