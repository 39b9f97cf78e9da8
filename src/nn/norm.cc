// NormLayer: see norm.h.
#include "nn/norm.h"

#include <utility>

namespace transom::nn {

NormLayer::NormLayer(const Scope& s, const NormSpec& spec) {
  param_ = {.kind = spec.kind,
            .weight = spec.weight ? s.vector("weight", spec.size) : nullptr,
            .bias = spec.bias ? s.vector("bias", spec.size) : nullptr,
            .eps = static_cast<float>(spec.eps),
            .weight_offset = static_cast<float>(spec.weight_offset)};
}

Tensor NormLayer::absorb(Ctx& cx, Hidden& h) const {
  ops::AddNorm r = ops::add_norm(cx, h.x, h.pending, param_, h.scale);
  h = {.x = r.sum, .pending = {}, .scale = 1.f, .per_layer = std::move(h.per_layer)};
  return r.y;
}

}  // namespace transom::nn
