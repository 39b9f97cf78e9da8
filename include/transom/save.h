// Saving a model as a checkpoint.
#pragma once

#include <cstdint>
#include <string>

#include "transom/model.h"

namespace transom {

// Writes the model's checkpoint with the weights that it has now (a Trainer changes them) into a new or empty directory: config,
// generation settings and tokenizer as they lie, and every tensor as safetensors under its own name, type and shape, in parts of at
// most `max_shard_bytes` with an index. Made beside the directory and renamed: there is all of it or nothing. Quantized tensors are
// copied as stored. Error{kUnsupported} for a GGUF file, and for a quantized matrix that was trained.
void save_checkpoint(const Model& model, const std::string& directory, uint64_t max_shard_bytes = uint64_t{5} << 30);

}  // namespace transom
