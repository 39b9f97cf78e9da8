// LoRA adapters as values (Hu et al. 2021): for the parameters that an adapter names, y += scale * (x Aᵀ) Bᵀ.
#pragma once

#include <string>
#include <unordered_map>

#include "spec/params.h"

namespace transom {

struct LoraFactors {
  Weight a, b;  // [r, in], [out, r]
  float scale = 1.f;
};

struct Adapter {
  std::string path;
  std::unordered_map<const Param*, LoraFactors> factors;
};

}  // namespace transom
