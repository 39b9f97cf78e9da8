// Trainer: full fine-tuning of a Model over packed sequences with AdamW, by the same definitions that run inference. The
// model's weights are copied to F32 when a trainer is made; the model then runs with the trained weights.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "transom/model.h"

namespace transom {

struct TrainOptions {
  double learning_rate = 1e-4, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0.01;
};

class Trainer {
 public:
  // Error{kUnsupported} for a model whose weights are streamed, that has an encoder of its own (no gradient yet), or no language-model head.
  explicit Trainer(Model model, TrainOptions options = {});
  ~Trainer();

  // Adds the gradients of the mean next-token loss over all sequences (labels are the ids shifted by one) and returns the loss.
  double accumulate(std::span<const std::vector<int32_t>> sequences);
  // One optimizer step with what was accumulated; the gradients are zero afterwards.
  void step();
  // The accumulated gradient of a parameter, row by row. Error{kNotFound} for an unknown name.
  std::vector<float> gradient(const std::string& param) const;
  std::vector<float> weight(const std::string& param) const;
  std::vector<std::string> params() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace transom
