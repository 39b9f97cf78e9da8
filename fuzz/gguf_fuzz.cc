// libFuzzer target: GGUF headers, every key through every accessor, and the tensors' ranges.
#include <cstdlib>
#include <span>
#include <string_view>

#include "base/error.h"
#include "base/gguf_metadata.h"
#include "checkpoint/gguf.h"

namespace {

template <class F>
void attempt(F&& f) {
  try {
    f();
  } catch (const transom::Error&) {
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  attempt([&] {
    const auto m = transom::GgufMetadata::parse(std::as_bytes(std::span(data, size)), "fuzz");
    for (const auto& pair : m.values()) {
      const std::string_view key = pair.first;  // a name that clang 14 can capture
      attempt([&] { m.u32(key); });
      attempt([&] { m.i64(key); });
      attempt([&] { m.f32(key); });
      attempt([&] { m.boolean(key); });
      attempt([&] { m.str(key); });
      attempt([&] { m.strings(key); });
      attempt([&] { m.integers(key); });
      attempt([&] { m.floats(key); });
    }
    for (const transom::TensorEntry& e : transom::gguf_entries(m, size))
      if (e.bytes != 0 && (e.offset > size || e.bytes > size - e.offset)) std::abort();
  });
  return 0;
}
