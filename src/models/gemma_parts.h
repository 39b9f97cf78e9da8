// What Gemma 3n and 4 share: their last layers attend with the keys and values of the last layer of the same kind before them.
#pragma once

#include "models/decoder_parts.h"

namespace transom {

class SharedKeys {
 public:
  // `otherwise`: how many layers share where the config does not say.
  SharedKeys(const Config& c, int64_t layers, int64_t otherwise);
  bool shares(int64_t i) const { return i >= own_; }
  // The attention of layer i; to be called for all in order.
  nn::LayerPtr attention(const Scope& s, nn::AttentionSpec spec, int64_t i, bool sliding);

 private:
  const Config& config_;
  int64_t own_;
  int32_t state_[2] = {-1, -1};  // of the last layer with keys of its own, by kind
};

// Published checkpoints hold the other modalities, and projections that the layers with shared keys do not use.
Rules gemma_rules();

// GGUF's names of their layers, and of the families' keys.
Rules gguf_per_layer_rules();
GgufNames gemma3n_gguf(), gemma4_gguf();

// Makes one number of a list that repeats it.
void join_repeated(Json& config, const char* key);

}  // namespace transom
