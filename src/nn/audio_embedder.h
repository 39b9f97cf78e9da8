// Frames of sound to an encoder's first hidden states (Radford et al. 2023, Whisper): two convolutions of width 3 over time, the
// second of which halves the rate, each followed by a GELU, and positions.
#pragma once

#include "nn/encoder_decoder.h"

namespace transom::nn {

class AudioEmbedder final : public Embedder {
 public:
  // "conv1", "conv2" and "embed_positions", which is frozen, below `s`; `positions` rows after the second convolution.
  AudioEmbedder(const Scope& s, int64_t features, int64_t hidden, int64_t positions);
  Tensor forward(Ctx& cx) const override;

 private:
  Linear conv1_, conv2_;
  const Param* positions_;
};

}  // namespace transom::nn
