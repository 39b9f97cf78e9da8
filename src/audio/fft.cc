// Fft: see fft.h.
#include "audio/fft.h"

#include <cmath>
#include <numbers>

#include "base/error.h"

namespace transom {

Fft::Fft(size_t n) : roots_(n) {
  CHECK(n > 0);
  for (size_t k = 0; k < n; ++k) roots_[k] = std::polar(1.0, -2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(n));
  for (size_t p = 2; n > 1; ++p)
    for (; n % p == 0; n /= p) factors_.push_back(p);
}

void Fft::forward(std::span<const std::complex<double>> x, std::span<std::complex<double>> y) const {
  CHECK(x.size() == roots_.size() && y.size() == roots_.size());
  std::vector<std::complex<double>> column(factors_.empty() ? 0 : factors_.back());
  run(x.data(), 1, y.data(), roots_.size(), 0, column.data());
}

// The transform of every stride-th element: p transforms of n / p, and butterflies of p over them (`column`: scratch of p).
void Fft::run(const std::complex<double>* x, size_t stride, std::complex<double>* y, size_t n, size_t factor, std::complex<double>* column) const {
  if (n == 1) {
    y[0] = x[0];
    return;
  }
  const size_t p = factors_[factor], m = n / p;
  for (size_t q = 0; q < p; ++q) run(x + q * stride, stride * p, y + q * m, m, factor + 1, column);
  for (size_t k = 0; k < m; ++k) {
    for (size_t q = 0; q < p; ++q) column[q] = y[q * m + k] * roots_[q * k * stride];
    for (size_t j = 0; j < p; ++j) {
      std::complex<double> sum = 0;
      for (size_t q = 0; q < p; ++q) sum += column[q] * roots_[q * j * m % n * stride];
      y[j * m + k] = sum;
    }
  }
}

}  // namespace transom
