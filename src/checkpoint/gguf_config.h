// A GGUF file's metadata in config.json's terms, so that one set of families serves both. Keys: the GGUF specification
// ("llama.block_count" …) and llama.cpp's writer.
#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "checkpoint/source.h"

namespace transom {

// A key below "<general.architecture>." and config.json's name for it.
using GgufKey = std::pair<std::string_view, std::string_view>;

// The config of a GGUF source, without `architectures`: the keys that decoders share, and `keys`. A key that is in neither is
// passed on under its own name, so that the reader of the config reports it.
Json gguf_config(const TensorSource& source, const std::vector<GgufKey>& keys);

}  // namespace transom
