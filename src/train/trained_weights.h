// The weights that training changes: F32 values of their own, which the model's parameters then point to.
#pragma once

#include <memory>
#include <vector>

#include "engine/loaded_model.h"

namespace transom {

struct TrainedWeight {
  Param* param;
  std::shared_ptr<std::byte> memory;

  int64_t size() const { return param->rows * param->cols; }
  float* data() const { return reinterpret_cast<float*>(memory.get()); }
};

// One for each parameter that is not frozen, in the table's order; a tied one goes on sharing its partner's. The weights must be
// resident and in the host's memory.
std::vector<TrainedWeight> own_weights(Model::Impl& model);

}  // namespace transom
