// Linear maps: y = x Wᵀ + b, declared by construction.
#pragma once

#include <string>
#include <vector>

#include "ops/ops.h"
#include "spec/params.h"

namespace transom::nn {

enum class Bias : uint8_t { kNone, kRequired };

class Linear {
 public:
  Linear(const Scope& s, int64_t in, int64_t out, Split split, Bias bias = Bias::kNone);
  Tensor forward(Ctx& cx, const Tensor& x) const { return ops::linear(cx, x, {weight_, bias_}); }

 private:
  const Param* weight_;
  const Param* bias_ = nullptr;
};

// Linear maps that share their input and are computed as one ("q_proj", "k_proj", "v_proj"): each segment keeps its own name
// and format for loading, adapters, split and export.
class FusedLinear {
 public:
  struct Segment {
    std::string name;
    int64_t out;
    Split split;
    Bias bias = Bias::kNone;
  };
  FusedLinear(const Scope& s, int64_t in, const std::vector<Segment>& segments);
  // One output a segment, in order.
  std::vector<Tensor> forward(Ctx& cx, const Tensor& x) const;

 private:
  std::vector<ops::LinearParam> params_;
};

}  // namespace transom::nn
