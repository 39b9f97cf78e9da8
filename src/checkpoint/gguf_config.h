// A GGUF file's metadata in config.json's terms, so that one set of families serves both. Keys: the GGUF specification
// ("llama.block_count" …) and llama.cpp's writer.
#pragma once

#include "base/json.h"
#include "checkpoint/source.h"

namespace transom {

// The config of a GGUF source. Error{kUnsupported} names a general.architecture that has no translation.
Json gguf_config(const TensorSource& source);

}  // namespace transom
