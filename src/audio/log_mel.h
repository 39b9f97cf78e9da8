// Log-mel features of sound as Whisper takes them (transformers' WhisperFeatureExtractor): frames every `hop` samples, power
// spectra under a Hann window of n_fft samples, Slaney's mel filters, log10 with 8 decades below the largest, (x + 4) / 4.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "audio/fft.h"

namespace transom {

struct LogMelSpec {
  int64_t bins = 80, rate = 16000, n_fft = 400, hop = 160, chunk_seconds = 30;
  int64_t samples() const { return rate * chunk_seconds; }
  int64_t frames() const { return samples() / hop; }
};

// preprocessor_config.json of a model directory; Error{kNotFound} without it.
LogMelSpec read_log_mel_spec(const std::string& directory);

class LogMel {
 public:
  explicit LogMel(const LogMelSpec& spec);
  const LogMelSpec& spec() const { return spec_; }
  // [frames, bins] of a whole sound, of at least a chunk: silence after the last sample.
  std::vector<float> features(std::span<const float> samples) const;

 private:
  struct Filter {
    int64_t first = 0;            // frequency bin
    std::vector<double> weights;  // of it and those after it
  };
  void frame(const std::vector<double>& padded, int64_t at, double* out) const;

  LogMelSpec spec_;
  Fft fft_;
  std::vector<double> window_;
  std::vector<Filter> filters_;
};

}  // namespace transom
