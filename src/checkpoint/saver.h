// From the parameters of a model back to a checkpoint's tensors: the bindings by which they were loaded, backwards, so that
// tensors have the names, types and shapes that they had.
#pragma once

#include <functional>
#include <string>

#include "checkpoint/loader.h"

namespace transom {

// The current value of a bound parameter, in host memory.
using WeightOf = std::function<Weight(const Binding&)>;

// Writes every tensor of `source` into `directory`: model.safetensors, or parts of at most `max_shard_bytes` (one tensor at least)
// and their index. Tensors that no parameter reads, and those of quantized matrices, are copied as stored. One tensor at a time is
// in memory. Error{kUnsupported} for GGUF files, and for quantized matrices that have other values now.
void save_tensors(const TensorSource& source, const Bindings& bindings, const WeightOf& weight_of, const std::string& directory,
                  uint64_t max_shard_bytes);

}  // namespace transom
