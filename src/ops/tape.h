// The autograd tape: ops record how their output's gradient flows to their inputs; backward() runs the records in reverse.
// A Tensor's `node` names its gradient slot. Gradients are F32, live in the step's arena, and accumulate. Inference pays
// one null check an op.
#pragma once

#include <functional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ops/context.h"

namespace transom {

class Tape {
 public:
  // Gives `t` a gradient slot, unless it has one.
  void track(Tensor& t);
  void record(std::function<void(Ctx&)> backward) { records_.push_back(std::move(backward)); }

  // The gradient of a tracked tensor, in its shape, zeros when nothing has flowed yet. Tensors that share a slot hold the same numbers.
  View grad(Ctx& cx, const Tensor& t);
  // Whether anything has flowed: an op whose outputs have no gradient has nothing to do.
  bool has_grad(const Tensor& t) const { return t.node >= 0 && grads_[t.node]; }

  // Parameters whose gradients are wanted; the others are frozen, and their weight gradients are never computed.
  void train(const Param* p) { trained_.insert(p); }
  // A tied parameter that shares its partner's weight is its partner.
  bool trains(const Param* p) const { return p && trained_.contains(own(p)); }
  // The gradient of a trained parameter, F32 [rows, cols]; zeros until something flows. Kept across clear().
  View param_grad(const Param* p, const Kernels& kernels, Stream& stream);
  void zero_param_grads(const Kernels& kernels, Stream& stream);

  // Runs the records in reverse. The caller has put the loss's gradient into the slots of its inputs.
  void backward(Ctx& cx);
  // Forgets records and activations' gradients (the arena may then be reset).
  void clear();

 private:
  static const Param* own(const Param* p) {
    return p->tied && p->weight.view.data == p->tied->weight.view.data ? p->tied : p;
  }
  struct ParamGrad {
    std::shared_ptr<std::byte> memory;
    View view;
  };
  std::vector<Tensor> grads_;
  std::vector<std::function<void(Ctx&)>> records_;
  std::unordered_set<const Param*> trained_;
  std::unordered_map<const Param*, ParamGrad> param_grads_;
};

}  // namespace transom
