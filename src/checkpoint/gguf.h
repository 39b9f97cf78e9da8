// Tensors of GGUF files (v2, v3): the directory that base/gguf_metadata.h read, with types, sizes and ranges checked
// against the file. Type numbers: ggml_type in ggml.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/gguf_metadata.h"
#include "checkpoint/source.h"

namespace transom {

std::optional<DType> gguf_dtype(uint32_t ggml_type);         // nothing when the number is unknown or not supported
std::optional<uint32_t> gguf_type_number(DType dtype);       // nothing when GGUF has no such type

// The tensors of a file of `file_bytes` bytes, in file order, offsets from the start of the file; `file` is the
// metadata's map (null after GgufMetadata::parse). Code::kCorrupt for a bad size, range or overlap, Code::kUnsupported
// for a type that is not read.
std::vector<TensorEntry> gguf_entries(const GgufMetadata& metadata, uint64_t file_bytes);

// Opens a file; if its keys say that it is one part of a split file, all parts, named <stem>-00001-of-0000N.gguf beside
// it. The metadata is that of the first part.
CheckpointContents read_gguf(const std::string& path);

}  // namespace transom
