// The safetensors format: a little-endian u64 header size, a JSON header, the tensors' bytes without gaps.
// Format and limits: https://github.com/huggingface/safetensors (README "Format", and the checks of its reader).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/source.h"

namespace transom {

struct SafetensorsHeader {
  std::vector<TensorEntry> entries;  // in the header's order; offsets count from the start of the file, `file` is null
  std::map<std::string, std::string> metadata;
};

// Checks a whole file in memory. `context` names it in errors (Code::kCorrupt).
SafetensorsHeader parse_safetensors(std::span<const std::byte> bytes, std::string_view context);

// Maps and checks a file; the entries keep the map alive.
SafetensorsHeader read_safetensors(const std::string& path);

struct TensorToWrite {
  std::string name;
  DType dtype = DType::kF32;  // one of the format's types, not a GGUF block format
  std::vector<int64_t> shape;
  std::span<const std::byte> data;
  std::function<std::vector<std::byte>()> make = nullptr;  // in place of data: called when its turn comes, so that one at a time is in memory
};

// Writes a file: to `path` + ".tmp" first, then renamed, so that a failure leaves no half file under the name. Tensors
// are ordered by element size (largest first) and name, the header is padded to 8 bytes, as the reference writer does.
void write_safetensors(const std::string& path, std::vector<TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata = {});

}  // namespace transom
