// Fourier transforms of any length (Cooley and Tukey 1965, of mixed radix), planned once.
#pragma once

#include <complex>
#include <span>
#include <vector>

namespace transom {

class Fft {
 public:
  explicit Fft(size_t n);
  // y[k] = Σ x[t] exp(-2πi k t / n); both have n elements and may not overlap.
  void forward(std::span<const std::complex<double>> x, std::span<std::complex<double>> y) const;

 private:
  void run(const std::complex<double>* x, size_t stride, std::complex<double>* y, size_t n, size_t factor,
           std::complex<double>* column) const;
  std::vector<size_t> factors_;
  std::vector<std::complex<double>> roots_;  // exp(-2πi k / n)
};

}  // namespace transom
