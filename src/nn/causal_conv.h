// Short causal convolution of each column over the rows of its sequence, the first step of most recurrent mixers.
#pragma once

#include "ops/ops.h"
#include "spec/config.h"
#include "spec/params.h"

namespace transom::nn {

class CausalConv {
 public:
  CausalConv(const Scope& s, int64_t columns, int64_t width, bool bias);
  Tensor forward(Ctx& cx, const Tensor& x, const ops::Kept& kept) const { return ops::causal_conv(cx, x, *weight_, bias_, kept); }
  int64_t kept() const { return (weight_->cols - 1) * weight_->rows; }  // numbers of state

 private:
  const Param* weight_;
  const Param* bias_ = nullptr;
};

// A size of one head's state or of a convolution, from config.json: bounded far above any model's, so that products of them,
// which say how much a sequence keeps, stay numbers.
int64_t state_size(const Config& c, const char* key, int64_t otherwise);

}  // namespace transom::nn
