// libFuzzer target: WAV files. Every sample that comes out is finite, and there are no more of them than bytes.
#include <cmath>
#include <cstdlib>
#include <span>

#include "audio/wav.h"
#include "base/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const transom::Sound s = transom::parse_wav(std::as_bytes(std::span(data, size)), "fuzz");
    if (s.samples.size() > size) std::abort();
    for (const float x : s.samples)
      if (!std::isfinite(x)) std::abort();
  } catch (const transom::Error&) {
  }
  return 0;
}
