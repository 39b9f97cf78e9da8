// Sound as the library takes it: one channel of samples in [-1, 1].
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace transom {

struct Sound {
  int64_t rate = 0;  // samples a second
  std::vector<float> samples;
};

// A RIFF WAVE file: PCM of 8, 16, 24 or 32 bits or floats of 32 or 64, any rate; several channels become their mean. Throws Error naming
// the file, what was expected and what was found.
Sound read_wav(const std::string& path);

// The same sound at another rate, by a windowed sinc (Kaiser, beta 12, 32 zero crossings on either side): flat within 0.01 dB up to 0.88
// of the lower of both Nyquist frequencies, and at least 100 dB down from 1.12 of it on.
Sound resample(const Sound& sound, int64_t rate);

}  // namespace transom
