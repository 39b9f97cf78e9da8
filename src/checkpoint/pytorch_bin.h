// PyTorch's zip files (torch.save): tensors of a state dict, read in place. Only the pickle operations and names that a
// state dict needs are known; any other name is an error that says which, and nothing is ever called or imported.
// Format: torch/serialization.py (records data.pkl, data/<key>, byteorder), APPNOTE.TXT of the zip format.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/source.h"

namespace transom {

// Checks a whole file in memory; offsets count from its start and `file` is null, but for strided views, which are
// copied into `owned`. The dict may be the top object or its member "state_dict"; members that are no tensors are left
// out. Code::kCorrupt or Code::kUnsupported, `context` names the file.
std::vector<TensorEntry> parse_pytorch(std::span<const std::byte> bytes, std::string_view context);

// Maps and checks a file; the entries keep the map alive. Tensors that share a storage share its bytes.
std::vector<TensorEntry> read_pytorch(const std::string& path);

}  // namespace transom
