// Normal values for the tests of ops.
#pragma once

#include <random>

#include "tensor/tensor.h"

namespace transom::test {

inline Tensor random_tensor(std::mt19937& engine, int64_t rows, int64_t cols, double scale = 1) {
  Tensor t;
  const auto memory = host_memory(sizeof(float) * rows * cols);
  t.view = {memory.get(), DType::kF32, rows, cols, cols};
  t.owner = memory;
  std::normal_distribution<float> normal(0, static_cast<float>(scale));
  for (int64_t i = 0; i < rows * cols; ++i) t.view.row<float>(0)[i] = normal(engine);
  return t;
}

}  // namespace transom::test
