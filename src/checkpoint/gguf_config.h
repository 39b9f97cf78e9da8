// A GGUF file's metadata in config.json's terms, so that one set of families serves both. Keys: the GGUF specification
// ("llama.block_count" …) and llama.cpp's writer.
#pragma once

#include "base/json.h"
#include "checkpoint/source.h"
#include "spec/gguf_names.h"

namespace transom {

// The config of a GGUF source, without `architectures`: the keys that all models share, and what `names` says. A key that is in
// neither is passed on under its own name, so that the reader of the config reports it.
Json gguf_config(const TensorSource& source, const GgufNames& names);

}  // namespace transom
