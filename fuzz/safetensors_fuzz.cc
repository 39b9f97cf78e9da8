// libFuzzer target: parse_safetensors either throws Error or gives entries that lie within the bytes.
#include <cstdlib>
#include <span>

#include "base/error.h"
#include "checkpoint/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto header = transom::parse_safetensors(std::as_bytes(std::span(data, size)), "fuzz");
    for (const transom::TensorEntry& e : header.entries)
      if (e.offset > size || e.bytes > size - e.offset || transom::dense_bytes(e.dtype, e.shape) != e.bytes) std::abort();
  } catch (const transom::Error&) {
  }
  return 0;
}
