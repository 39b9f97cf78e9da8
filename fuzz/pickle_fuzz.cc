// libFuzzer target: PyTorch zip files (inputs that start with "PK") and bare pickles.
#include <cstdlib>
#include <span>

#include "base/error.h"
#include "checkpoint/pickle.h"
#include "checkpoint/pytorch_bin.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  try {
    if (size < 2 || data[0] != 'P' || data[1] != 'K') {
      transom::unpickle_state_dict(bytes, "fuzz");
      return 0;
    }
    for (const transom::TensorEntry& e : transom::parse_pytorch(bytes, "fuzz")) {
      if (transom::dense_bytes(e.dtype, e.shape) != e.bytes) std::abort();
      if (e.owned ? e.owned->size() != e.bytes : e.offset > size || e.bytes > size - e.offset) std::abort();
    }
  } catch (const transom::Error&) {
  }
  return 0;
}
