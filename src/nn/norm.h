// Normalisation layers: RMSNorm and LayerNorm, alone, with the residual addition before them, or over heads.
#pragma once

#include <vector>

#include "ops/ops.h"
#include "spec/params.h"

namespace transom::nn {

using Norm = ops::Norm;

struct NormSpec {
  Norm kind = Norm::kRms;
  int64_t size = 0;
  double eps = 1e-6;
  double weight_offset = 0;  // Gemma's norms multiply by 1 + weight
  bool bias = false;
  bool weight = true;  // OLMo's first norm has none
};

// What flows between blocks: the residual stream x, and a sublayer's output that is still to be added to it. A following
// norm adds and normalizes in one pass.
struct Hidden {
  Tensor x, pending;
  float scale = 1.f;      // of pending
  Tensor per_layer = {};  // inputs of the single layers, each of which reads its own columns (Gemma 3n and 4)
  std::vector<Tensor> streams = {};  // further residual streams beside x (Gemma 3n)
};

class NormLayer {
 public:
  NormLayer(const Scope& s, const NormSpec& spec);
  Tensor forward(Ctx& cx, const Tensor& x, int64_t groups = 1) const { return ops::norm(cx, x, param_, groups); }
  // h.x += h.pending, and the norm of that.
  Tensor absorb(Ctx& cx, Hidden& h) const;

 private:
  ops::NormParam param_;
};

}  // namespace transom::nn
