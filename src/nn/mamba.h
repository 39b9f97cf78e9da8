// State-space mixers with a gate.
//   Mamba  (Gu & Dao 2023): x, z = W x;  x = silu(conv(x));  t, B, C = W_x x;  y = W_o (scan(x, W_t t, B, C) * silu(z))
//   Mamba2 (Dao & Gu 2024): z, xBC, t = W x;  x, B, C = silu(conv(xBC));  y = W_o N(recurrence(C, B, x) * silu(z))
#pragma once

#include <array>
#include <optional>

#include "nn/causal_conv.h"
#include "nn/layer.h"
#include "nn/linear.h"
#include "nn/norm.h"

namespace transom::nn {

struct MambaSpec {
  int64_t hidden = 0, inner = 0, state = 0, time_rank = 0, conv = 4;
  bool bias = false, conv_bias = true;
  Activation act = Activation::kSilu;
  std::optional<NormSpec> parts_norm;  // of t, B and C: dt_layernorm, b_layernorm, c_layernorm where it has weights (Jamba)
};

class Mamba final : public Layer {
 public:
  Mamba(const Scope& s, const MambaSpec& spec);
  Tensor forward(Ctx& cx, const Tensor& x) const override;

 private:
  MambaSpec spec_;
  Linear in_;
  CausalConv conv_;
  Linear parts_, time_;
  std::optional<NormLayer> time_norm_, b_norm_, c_norm_;
  const Param *a_log_, *skip_;
  Linear out_;
  int32_t state_;
};

struct Mamba2Spec {
  int64_t hidden = 0, heads = 0, head_dim = 0, groups = 1, state = 0, conv = 4;
  bool bias = false, conv_bias = true;
  Activation act = Activation::kSilu;
  double time_least = 0, time_most = 0;  // bounds of the time step
  std::optional<NormSpec> norm;          // over each of norm_groups parts of a row; without it the gate alone (Falcon-H1)
  int64_t norm_groups = 1;
  bool gate_last = false;                      // the gate multiplies the norm instead of what is normed
  std::array<double, 5> scales{1, 1, 1, 1, 1};  // of z, x, B, C and t (Falcon-H1)
};

class Mamba2 final : public Layer {
 public:
  Mamba2(const Scope& s, const Mamba2Spec& spec);
  Tensor forward(Ctx& cx, const Tensor& x) const override;

 private:
  Tensor scaled(Ctx& cx, const Tensor& in) const;

  Mamba2Spec spec_;
  Linear in_;
  CausalConv conv_;
  const Param *dt_bias_, *a_log_, *skip_;
  std::optional<NormLayer> norm_;
  Linear out_;
  int32_t state_;
};

}  // namespace transom::nn
