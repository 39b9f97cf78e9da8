// Choosing a kernel table by name, and a stream's scratch: see kernels.h.
#include "kernels/kernels.h"

#include "base/error.h"
#include "tensor/arena.h"

namespace transom {

std::byte* Stream::scratch(size_t bytes) {
  if (bytes > scratch_bytes_) {
    scratch_.reset();
    scratch_ = host_memory(bytes);
    scratch_bytes_ = bytes;
  }
  return scratch_.get();
}

std::vector<std::string_view> available_kernels() { return {"ref"}; }

const Kernels& kernels_by_name(std::string_view name) {
  if (name == "ref" || name == "auto") return ref_kernels();
  fail(Code::kUnsupported, "--kernels", "expected auto or ref, got {}", name);
}

}  // namespace transom
