// Head: see head.h.
#include "nn/head.h"

#include <array>

namespace transom::nn {

std::string_view name(Task task) {
  constexpr std::array kNames = {"none", "causal-lm", "masked-lm", "sequence-classification", "token-classification",
                                 "question-answering", "replaced-token-detection"};
  return kNames.at(static_cast<size_t>(task));
}
namespace {

using Axis = Split::Axis;

ops::LinearParam output(const Scope& root, const HeadSpec& h, int64_t in, const Param* words) {
  const Split by_row{Axis::kOut, 1};
  ops::LinearParam p{(root / h.out).matrix("weight", h.shape.outputs, in, by_row, h.tied ? words : nullptr), nullptr};
  if (!h.bias.empty()) p.bias = root.vector(h.bias, h.shape.outputs, by_row);
  else if (h.out_bias) p.bias = (root / h.out).vector("bias", h.shape.outputs, by_row);
  return p;
}

}  // namespace

Head::Head(const Scope& root, const HeadSpec& h, const Param* words) : shape_(h.shape), act_(h.act) {
  const int64_t inner = h.dense.empty() || h.inner == 0 ? h.hidden : h.inner;
  if (!h.dense.empty()) dense_.emplace(root / h.dense, h.hidden, inner, Split{}, h.dense_bias ? Bias::kRequired : Bias::kNone);
  if (h.norm) norm_.emplace(root / h.norm_name, *h.norm);
  out_ = output(root, h, inner, words);
}

Tensor Head::forward(Ctx& cx, const Tensor& rows) const {
  Tensor x = rows;
  if (dense_) x = ops::act_mul(cx, dense_->forward(cx, x), {}, act_);
  if (norm_) x = norm_->forward(cx, x);
  return ops::linear(cx, x, out_);
}

}  // namespace transom::nn
