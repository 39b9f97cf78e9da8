// Layer: a sublayer of a block (a mixer or a feed-forward), [T, hidden] -> [T, hidden].
#pragma once

#include "ops/context.h"

namespace transom::nn {

class Layer {
 public:
  virtual ~Layer() = default;
  virtual Tensor forward(Ctx& cx, const Tensor& x) const = 0;
};

}  // namespace transom::nn
