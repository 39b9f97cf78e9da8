// A restricted unpickler: the tensors of a PyTorch state dict, and nothing else. It knows the operations that pickling a
// dict of tensors produces and a closed list of names (torch._utils._rebuild_tensor*, storages, dtypes, OrderedDict,
// torch.Size); it builds plain records and never calls, imports or evaluates anything. Operations, nodes and ranks are
// bounded, and no recursion follows the data. Reference: CPython Lib/pickletools.py, torch/_utils.py.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/dtype.h"

namespace transom {

// A strided view of a storage. Numbers are as the pickle states them, checked to be non-negative and no more.
struct PickledTensor {
  std::string name;
  DType dtype = DType::kF32;
  std::string storage;                  // its key: the record data/<key>
  uint64_t storage_bytes = 0;           // what the pickle says the storage holds
  uint64_t offset = 0;                  // in elements
  std::vector<int64_t> shape, strides;  // of equal length; strides in elements
};

// Reads data.pkl. The top object, or its member "state_dict", is a dict; its members that are tensors are returned in
// order. Code::kCorrupt for a broken pickle, Code::kUnsupported for a name or operation outside the list.
std::vector<PickledTensor> unpickle_state_dict(std::span<const std::byte> pickle, std::string_view context);

}  // namespace transom
