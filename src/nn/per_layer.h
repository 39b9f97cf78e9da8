// Inputs of single layers (Gemma 3n and 4): for each token and layer a small vector, made of the token's embedding in a table of
// its own and of a projection of what enters the first layer. Each layer lets its own in through a gate.
#pragma once

#include "nn/linear.h"
#include "nn/norm.h"

namespace transom::nn {

struct PerLayerSpec {
  int64_t layers = 0, size = 0;  // columns of one layer's
  int64_t vocab = 0;             // rows of the table: ids past it have the first row's
  NormSpec norm;                 // of one layer's
  Activation act = Activation::kGeluTanh;
};

class PerLayerInputs {
 public:
  PerLayerInputs(const Scope& body, const PerLayerSpec& spec, int64_t hidden, int64_t padding_id);
  // x: the embeddings. -> [T, layers * size]
  Tensor forward(Ctx& cx, const Tensor& x) const;

 private:
  PerLayerSpec spec_;
  int64_t hidden_, padding_id_;
  const Param* table_;
  Linear projection_;
  NormLayer norm_;
};

// N up(act(gate x) * the layer's input)
class PerLayerGate {
 public:
  PerLayerGate(const Scope& layer, const PerLayerSpec& spec, const NormSpec& norm, int64_t number);
  Tensor forward(Ctx& cx, const Tensor& x, const Tensor& per_layer) const;

 private:
  PerLayerSpec spec_;
  int64_t number_;
  Linear gate_, up_;
  NormLayer norm_;
};

}  // namespace transom::nn
