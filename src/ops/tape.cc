// Tape: see tape.h.
#include "ops/tape.h"

namespace transom {

void Tape::track(Tensor& t) {
  if (t.node >= 0) return;
  t.node = static_cast<int32_t>(grads_.size());
  grads_.emplace_back();
}

View Tape::grad(Ctx& cx, const Tensor& t) {
  CHECK(t.node >= 0 && static_cast<size_t>(t.node) < grads_.size());
  Tensor& g = grads_[t.node];
  if (!g) {
    g = cx.arena.tensor(DType::kF32, t.rows(), t.cols());
    cx.kernels.fill_zero(g.view.data, sizeof(float) * t.rows() * t.cols(), cx.stream);
  }
  View v = g.view;
  CHECK(v.rows * v.cols == t.rows() * t.cols());  // else a part of a tensor that was not recorded as such
  v.rows = t.rows(), v.cols = v.stride = t.cols();
  return v;
}

View Tape::param_grad(const Param* p, const Kernels& kernels, Stream& stream) {
  p = own(p);
  ParamGrad& g = param_grads_[p];
  if (!g.memory) {
    const size_t bytes = sizeof(float) * p->rows * p->cols;
    g.memory = kernels.allocate(bytes);
    g.view = {g.memory.get(), DType::kF32, p->rows, p->cols, p->cols};
    kernels.fill_zero(g.memory.get(), bytes, stream);
  }
  return g.view;
}

void Tape::zero_param_grads(const Kernels& kernels, Stream& stream) {
  for (auto& [param, g] : param_grads_) kernels.fill_zero(g.memory.get(), sizeof(float) * g.view.rows * g.view.cols, stream);
}

void Tape::backward(Ctx& cx) {
  for (auto it = records_.rbegin(); it != records_.rend(); ++it) (*it)(cx);
}

void Tape::clear() {
  grads_.clear();
  records_.clear();
}

}  // namespace transom
