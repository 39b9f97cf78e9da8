// Gated delta net (Yang et al. 2025; transformers modeling_qwen3_next): linear attention whose state, a matrix for each value
// head, decays and is corrected towards each new value rather than added to.
//   q, k, v = silu(conv(W x));  S = e^g S;  S += k β (v - Sᵀk)ᵀ;  y = W_o (N(Sᵀq / sqrt(dk)) * silu(W_z x))
// with q and k of length 1, β = sigmoid(W_b x) and g = -exp(A_log) softplus(W_a x + dt_bias).
#pragma once

#include "nn/causal_conv.h"
#include "nn/layer.h"
#include "nn/linear.h"
#include "nn/norm.h"

namespace transom::nn {

struct GatedDeltaSpec {
  int64_t hidden = 0, key_heads = 0, heads = 0, key_dim = 0, value_dim = 0;  // the sizes are of one head
  int64_t conv = 4;
  Activation act = Activation::kSilu;  // after the convolution
  double eps = 1e-6;                   // of the norm over each head
  bool tiled = false;                  // value head h goes with key head h modulo their number, not with its group's
};

// Projections: in_proj_q, in_proj_k, in_proj_v, in_proj_z, in_proj_b, in_proj_a.
class GatedDelta final : public Layer {
 public:
  GatedDelta(const Scope& s, const GatedDeltaSpec& spec);
  Tensor forward(Ctx& cx, const Tensor& x) const override;

 private:
  GatedDeltaSpec spec_;
  FusedLinear in_;
  CausalConv conv_;
  const Param *dt_bias_, *a_log_;
  NormLayer norm_;
  Linear out_;
  int32_t state_;
};

}  // namespace transom::nn
