// Choosing a kernel table by name, and a stream's scratch: see kernels.h.
#include "kernels/kernels.h"

#include <fmt/ranges.h>

#include "base/cpu.h"
#include "base/error.h"
#if defined(__x86_64__)
#include "kernels/cpu/tables.h"
#endif
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

std::vector<std::string_view> available_kernels() {
  std::vector<std::string_view> names;
#if defined(__x86_64__)
  names = cpu::table_names(cpu_info().isa);
#endif
  names.push_back("ref");
  return names;
}

const Kernels& kernels_by_name(std::string_view name) {
  if (name == "cuda") return cuda_kernels();
  const std::vector<std::string_view> names = available_kernels();
  if (name == "auto") name = names.front();
  if (name == "ref") return ref_kernels();
#if defined(__x86_64__)
  if (const Kernels* table = cpu::find_table(name, cpu_info().isa)) return *table;
#endif
  fail(Code::kUnsupported, "--kernels", "expected auto or one of {} on this machine, got {}", fmt::join(names, ", "), name);
}

}  // namespace transom
