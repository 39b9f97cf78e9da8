// LogMel: see log_mel.h.
#include "audio/log_mel.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

namespace transom {
namespace {

constexpr double kLowest = 1e-10;

// Slaney's scale: linear below 1 kHz, logarithmic above.
double mel_of(double hertz) { return hertz < 1000 ? 3 * hertz / 200 : 15 + std::log(hertz / 1000) * 27 / std::log(6.4); }
double hertz_of(double mel) { return mel < 15 ? 200 * mel / 3 : 1000 * std::exp(std::log(6.4) / 27 * (mel - 15)); }

}  // namespace

LogMelSpec read_log_mel_spec(const std::string& directory) {
  const std::string file = directory + "/preprocessor_config.json";
  if (!file_exists(file)) fail(Code::kNotFound, directory, "expected preprocessor_config.json beside the weights, got none");
  const Json c = read_json_file(file);
  LogMelSpec s;
  const auto read = [&](const char* key, int64_t& to, int64_t most) {
    const auto it = c.find(key);
    if (it == c.end()) return;
    if (!it->is_number_integer() || it->get<int64_t>() < 1 || it->get<int64_t>() > most)
      fail(Code::kCorrupt, file, "expected a whole number from 1 to {} for {}, got {}", most, key, it->dump());
    to = it->get<int64_t>();
  };
  read("feature_size", s.bins, 1024);
  read("sampling_rate", s.rate, 768000);
  read("n_fft", s.n_fft, 1 << 16);
  read("hop_length", s.hop, 1 << 16);
  read("chunk_length", s.chunk_seconds, 600);
  if (s.rate < 1000 || s.n_fft < 2 || s.samples() <= s.n_fft)
    fail(Code::kUnsupported, file, "expected a chunk longer than n_fft at 1000 samples a second or more, got {} and {} at {}", s.samples(), s.n_fft, s.rate);
  return s;
}

LogMel::LogMel(const LogMelSpec& spec) : spec_(spec), fft_(static_cast<size_t>(spec.n_fft)) {
  for (int64_t i = 0; i < spec.n_fft; ++i)
    window_.push_back(0.5 - 0.5 * std::cos(2 * std::numbers::pi * static_cast<double>(i) / static_cast<double>(spec.n_fft)));
  std::vector<double> edges;  // in hertz
  const double top = mel_of(8000);
  for (int64_t i = 0; i < spec.bins + 2; ++i) edges.push_back(hertz_of(top * static_cast<double>(i) / static_cast<double>(spec.bins + 1)));
  const double step = std::floor(static_cast<double>(spec.rate) / 2) / static_cast<double>(spec.n_fft / 2);
  for (int64_t m = 0; m < spec.bins; ++m) {
    const double left = edges[m], peak = edges[m + 1], right = edges[m + 2];
    Filter f;
    for (int64_t k = 0; k <= spec.n_fft / 2; ++k) {
      const double hertz = step * static_cast<double>(k);
      const double w = std::max(0.0, std::min((hertz - left) / (peak - left), (right - hertz) / (right - peak))) * 2 / (right - left);
      if (w == 0) continue;
      if (f.weights.empty()) f.first = k;
      f.weights.resize(static_cast<size_t>(k - f.first));
      f.weights.push_back(w);
    }
    filters_.push_back(std::move(f));
  }
}

void LogMel::frame(const std::vector<double>& padded, int64_t at, double* out) const {
  std::vector<std::complex<double>> x(spec_.n_fft), y(spec_.n_fft);
  bool silent = true;
  for (int64_t i = 0; i < spec_.n_fft; ++i) {
    x[i] = padded[at + i] * window_[i];
    silent = silent && padded[at + i] == 0;
  }
  if (!silent) fft_.forward(x, y);
  for (int64_t m = 0; m < spec_.bins; ++m) {
    const Filter& f = filters_[m];
    double sum = 0;
    for (size_t k = 0; !silent && k < f.weights.size(); ++k) sum += f.weights[k] * std::norm(y[f.first + static_cast<int64_t>(k)]);
    out[m] = std::log10(std::max(sum, kLowest));
  }
}

std::vector<float> LogMel::features(std::span<const float> samples) const {
  const int64_t n = std::max(spec_.samples(), static_cast<int64_t>(samples.size())), half = spec_.n_fft / 2, frames = n / spec_.hop;
  std::vector<double> padded(n + 2 * half, 0.0);  // mirrored at both ends
  std::copy(samples.begin(), samples.end(), padded.begin() + half);
  for (int64_t i = 1; i <= half; ++i) {
    padded[half - i] = padded[half + i];
    padded[half + n - 1 + i] = padded[half + n - 1 - i];
  }
  std::vector<double> logs(frames * spec_.bins);
  for (int64_t t = 0; t < frames; ++t) frame(padded, t * spec_.hop, logs.data() + t * spec_.bins);
  const double floor = *std::max_element(logs.begin(), logs.end()) - 8;
  std::vector<float> out(logs.size());
  std::transform(logs.begin(), logs.end(), out.begin(), [floor](double x) { return static_cast<float>((std::max(x, floor) + 4) / 4); });
  return out;
}

}  // namespace transom
