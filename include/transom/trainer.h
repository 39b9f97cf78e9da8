// Trainer: full fine-tuning of a Model with AdamW over packed sequences, by the same definitions that run inference: decoders,
// and encoder-decoders with their encoders. The model's weights are copied to F32 when a trainer is made; the model then runs
// with the trained weights.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "transom/engine.h"

namespace transom {

struct TrainOptions {
  double learning_rate = 1e-4, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weight_decay = 0.01;
};

// A text to learn: each of its ids but the first is predicted from those before it.
struct TrainExample {
  std::vector<int32_t> ids;  // of an encoder-decoder its target, with the token that its decoder begins with
  // Encoder-decoders: what the encoder reads, token ids or frames of sound.
  std::vector<int32_t> source;
  Matrix features;
  std::vector<bool> counted;  // for each id whether the loss counts its prediction: not a prompt's; empty: all
};

class Trainer {
 public:
  // Error{kUnsupported} for a model whose weights are streamed or not in the host's memory, or without a language-model head.
  explicit Trainer(Model model, TrainOptions options = {});
  ~Trainer();

  // Adds the gradients of the mean loss of the counted predictions of all examples together, and returns that mean.
  // Error{kInvalidArgument} for an example that the model cannot read, or when nothing is counted.
  double accumulate(std::span<const TrainExample> examples);
  // One optimizer step with what was accumulated; the gradients are zero afterwards.
  void step();
  // The accumulated gradient of a parameter, row by row. Error{kNotFound} for a name that is not among params().
  std::vector<float> gradient(const std::string& param) const;
  std::vector<float> weight(const std::string& param) const;
  // The names of what is trained: all parameters but the buffers, as transformers calls them, and computed positions.
  std::vector<std::string> params() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace transom
