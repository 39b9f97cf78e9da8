// Feed-forward layers: gated, down(act(gate x) * up x) (Shazeer 2020), or plain, down(act(up x)).
#pragma once

#include <optional>
#include <string>

#include "nn/layer.h"
#include "nn/linear.h"

namespace transom::nn {

struct MlpSpec {
  int64_t hidden = 0, inner = 0;
  Activation act = Activation::kSilu;
  bool bias = false;
  double gate_scale = 1;  // of the gate before its activation (Falcon-H1)
  std::optional<double> cutoff;  // only what of the gate lies above its mean by so many standard deviations counts (Gemma 3n)
  // Names below the layer's scope; an empty gate means a plain feed-forward.
  std::string gate = "gate_proj", up = "up_proj", down = "down_proj";
};

class Mlp final : public Layer {
 public:
  Mlp(const Scope& s, const MlpSpec& spec);
  Tensor forward(Ctx& cx, const Tensor& x) const override;

 private:
  Activation act_;
  float gate_scale_;
  std::optional<double> cutoff_;
  FusedLinear in_;
  Linear down_;
};

// The activation that transformers calls by this name ("silu", "gelu_pytorch_tanh" …).
Activation activation_by_name(const std::string& name, const std::string& origin);

}  // namespace transom::nn
