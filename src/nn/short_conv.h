// Gated short convolution (Liquid AI 2025; transformers modeling_lfm2): b, c, x = W x;  y = W_o (c * conv(b * x)).
#pragma once

#include "nn/causal_conv.h"
#include "nn/layer.h"
#include "nn/linear.h"

namespace transom::nn {

struct ShortConvSpec {
  int64_t hidden = 0, width = 3;
  bool bias = false;
};

class ShortConv final : public Layer {
 public:
  ShortConv(const Scope& s, const ShortConvSpec& spec);
  Tensor forward(Ctx& cx, const Tensor& x) const override;

 private:
  int64_t hidden_;
  Linear in_;
  CausalConv conv_;
  Linear out_;
  int32_t state_;
};

}  // namespace transom::nn
