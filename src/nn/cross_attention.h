// Cross-attention of encoder-decoders (Vaswani et al. 2017): queries of the sequence, keys and values of its source. Keys and
// values are made of the encoder's rows in the step in which a source begins, and kept for the steps that follow.
#pragma once

#include "nn/attention.h"

namespace transom::nn {

class CrossAttention final : public Layer {
 public:
  // Of `spec` heads, sizes, scale, biases and names count.
  CrossAttention(const Scope& s, const AttentionSpec& spec);
  Tensor forward(Ctx& cx, const Tensor& x) const override;

 private:
  AttentionSpec spec_;
  Linear q_;
  FusedLinear kv_;
  Linear out_;
  int32_t state_;
};

}  // namespace transom::nn
