// RWKV 4 (Peng et al. 2023; transformers modeling_rwkv). Every projection reads a mix of a token and the one before it:
//   RwkvAttention     y = W_o (sigmoid(W_r x_r) * wkv(W_k x_k, W_v x_v))
//   RwkvFeedForward   y = sigmoid(W_r x_r) * W_v relu(W_k x_k)²
#pragma once

#include "nn/layer.h"
#include "nn/linear.h"

namespace transom::nn {

class RwkvAttention final : public Layer {
 public:
  RwkvAttention(const Scope& s, int64_t hidden, int64_t inner);
  Tensor forward(Ctx& cx, const Tensor& x) const override;

 private:
  int64_t hidden_;
  const Param *decay_, *first_, *mix_key_, *mix_value_, *mix_receptance_;
  Linear key_, value_, receptance_, out_;
  int32_t state_;
};

class RwkvFeedForward final : public Layer {
 public:
  RwkvFeedForward(const Scope& s, int64_t hidden, int64_t inner);
  Tensor forward(Ctx& cx, const Tensor& x) const override;

 private:
  int64_t hidden_;
  const Param *mix_key_, *mix_receptance_;
  Linear key_, receptance_, value_;
  int32_t state_;
};

}  // namespace transom::nn
