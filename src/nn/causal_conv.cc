// CausalConv: see causal_conv.h.
#include "nn/causal_conv.h"

namespace transom::nn {

CausalConv::CausalConv(const Scope& s, int64_t columns, int64_t width, bool bias)
    : weight_(s.vectors("weight", columns, width, {Split::Axis::kOut, 1})),
      bias_(bias ? s.vector("bias", columns, {Split::Axis::kOut, 1}) : nullptr) {}

int64_t state_size(const Config& c, const char* key, int64_t otherwise) {
  const int64_t size = c.size(key, otherwise);
  c.require(size <= 4096, key, "at most 4096");
  return size;
}

}  // namespace transom::nn
