// resample: band-limited interpolation (Smith and Gossett 1984) with the phases of both rates' ratio tabled. See
// include/transom/audio.h for the quality.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "base/error.h"
#include "transom/audio.h"

namespace transom {
namespace {

constexpr int64_t kCrossings = 32;
constexpr double kBeta = 12;

// The modified Bessel function of the first kind, of order 0.
double bessel(double x) {
  double sum = 1, term = 1;
  for (int k = 1; term > 1e-12 * sum; ++k) {
    term *= (x / (2 * k)) * (x / (2 * k));
    sum += term;
  }
  return sum;
}

// The filter at a distance of `t` input samples, for a cutoff of `scale` times the input's Nyquist frequency.
double tap(double t, double scale) {
  const double x = t * scale, r = x / static_cast<double>(kCrossings);
  if (std::abs(r) >= 1) return 0;
  const double sinc = x == 0 ? 1 : std::sin(std::numbers::pi * x) / (std::numbers::pi * x);
  return scale * sinc * bessel(kBeta * std::sqrt(1 - r * r)) / bessel(kBeta);
}

}  // namespace

Sound resample(const Sound& sound, int64_t rate) {
  if (sound.rate < 1000 || sound.rate > 768000 || rate < 1000 || rate > 768000)
    fail(Code::kInvalidArgument, "resample", "expected rates from 1000 to 768000, got {} and {}", sound.rate, rate);
  if (sound.rate == rate) return sound;
  const int64_t common = std::gcd(sound.rate, rate), up = rate / common, down = sound.rate / common;
  const double scale = std::min(1.0, static_cast<double>(rate) / static_cast<double>(sound.rate));
  const auto reach = static_cast<int64_t>(std::ceil(static_cast<double>(kCrossings) / scale));
  const auto n = static_cast<int64_t>(sound.samples.size());
  Sound out{.rate = rate, .samples = std::vector<float>((n * up + down - 1) / down)};
  std::vector<std::vector<float>> phases(up);  // taps of output samples that lie k / up after an input sample
  for (int64_t i = 0; i < static_cast<int64_t>(out.samples.size()); ++i) {
    const int64_t at = i * down / up, phase = i * down % up;
    std::vector<float>& taps = phases[phase];
    if (taps.empty())
      for (int64_t j = -reach + 1; j <= reach; ++j)
        taps.push_back(static_cast<float>(tap(static_cast<double>(j) - static_cast<double>(phase) / static_cast<double>(up), scale)));
    double sum = 0;
    const int64_t first = std::max<int64_t>(0, at - reach + 1), last = std::min(n - 1, at + reach);
    for (int64_t j = first; j <= last; ++j) sum += double{sound.samples[j]} * taps[j - at + reach - 1];
    out.samples[i] = static_cast<float>(sum);
  }
  return out;
}

}  // namespace transom
