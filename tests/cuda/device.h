// What the CUDA tests share: the table or a loud skip (TRANSOM_REQUIRE_CUDA=1 makes it a failure), matrices and arrays that lie
// on the host and on the device, and one call on both tables: the device's first, then the reference's on the same inputs.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/threads.h"
#include "kernels/kernels.h"
#include "tensor/quant.h"

namespace transom::test {

using Random = std::mt19937;
inline float normal(Random& r, float scale = 1.f) { return std::normal_distribution<float>(0.f, scale)(r); }

// Why there is no CUDA here; empty when there is.
inline std::string no_cuda() {
  try {
    cuda_kernels();
    return "";
  } catch (const Error& e) {
    return e.what();
  }
}

inline void skip_without_cuda() {
  const std::string why = no_cuda();
  if (why.empty()) return;
  if (std::getenv("TRANSOM_REQUIRE_CUDA")) FAIL() << why;
  GTEST_SKIP() << "NOT TESTED, there is no GPU here: " << why;
}

enum class Side { kDevice, kHost };

inline Stream& device_stream() {
  static Stream s;
  return s;
}

// Bytes on the host, and their copy on the device, made when it is first asked for.
class Mirror {
 public:
  explicit Mirror(size_t bytes) : host_(bytes, 0xa5) {}
  uint8_t* host() { return host_.data(); }
  const uint8_t* host() const { return host_.data(); }
  size_t size() const { return host_.size(); }
  void* on(Side side) const {
    if (side == Side::kHost) return const_cast<uint8_t*>(host_.data());
    if (!device_) {
      device_ = cuda_kernels().allocate(size());
      cuda_kernels().copy_to_device(device_.get(), host(), size(), device_stream());
    }
    return device_.get();
  }
  std::vector<uint8_t> from_device() const {
    std::vector<uint8_t> bytes(size());
    cuda_kernels().copy_to_host(bytes.data(), on(Side::kDevice), size(), device_stream());
    return bytes;
  }

 private:
  std::vector<uint8_t> host_;
  mutable std::shared_ptr<std::byte> device_;
};

template <class T>
class Array {
 public:
  Array(std::vector<T> values) : mirror_(values.size() * sizeof(T)), count_(values.size()) {  // NOLINT: converts
    std::memcpy(mirror_.host(), values.data(), mirror_.size());
  }
  T* on(Side side) const { return static_cast<T*>(mirror_.on(side)); }
  size_t size() const { return count_; }
  std::vector<T> from(Side side) const {
    std::vector<T> v(count_);
    const std::vector<uint8_t> device = side == Side::kDevice ? mirror_.from_device() : std::vector<uint8_t>();
    std::memcpy(v.data(), side == Side::kDevice ? device.data() : mirror_.host(), mirror_.size());
    return v;
  }

 private:
  Mirror mirror_;
  size_t count_;
};

// Activations: rows `gap` elements apart, whose surroundings are watched.
class Matrix {
 public:
  Matrix(DType t, int64_t rows, int64_t cols, int64_t gap = 3)
      : mirror_(static_cast<size_t>(rows * (cols + gap)) * info(t).bytes), type_(t), rows_(rows), cols_(cols), stride_(cols + gap) {}
  Matrix& fill(Random& random, float scale = 1.f) {
    for (int64_t r = 0; r < rows_; ++r)
      for (int64_t c = 0; c < cols_; ++c) set(r, c, normal(random, scale));
    return *this;
  }
  void set(int64_t r, int64_t c, float f) { quantize_row(type_, &f, mirror_.host() + at(r, c), 1); }
  View on(Side side) const { return {mirror_.on(side), type_, rows_, cols_, stride_}; }
  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  DType type() const { return type_; }
  // [rows, cols] as float.
  std::vector<float> values(Side side) const {
    const std::vector<uint8_t> device = side == Side::kDevice ? mirror_.from_device() : std::vector<uint8_t>();
    const uint8_t* bytes = side == Side::kDevice ? device.data() : mirror_.host();
    std::vector<float> v(static_cast<size_t>(rows_ * cols_));
    for (int64_t r = 0; r < rows_; ++r) dequantize_row(type_, bytes + at(r, 0), v.data() + r * cols_, cols_);
    return v;
  }
  void expect_gaps_untouched() const {
    const std::vector<uint8_t> bytes = mirror_.from_device();
    for (int64_t r = 0; r < rows_; ++r)
      for (size_t i = at(r, cols_); i < at(r + 1, 0); ++i) ASSERT_EQ(bytes[i], 0xa5) << "after row " << r;
  }

 private:
  size_t at(int64_t r, int64_t c) const { return static_cast<size_t>(r * stride_ + c) * info(type_).bytes; }
  Mirror mirror_;
  DType type_;
  int64_t rows_, cols_, stride_;
};

// Half a step of the type, relative to the value at most.
inline double rounding(DType t) { return t == DType::kF32 ? 0x1p-24 : t == DType::kBF16 ? 0x1p-8 : 0x1p-11; }

// |device - reference| <= relative * max(|reference|, magnitude) + a step of the type.
inline void expect_close(const Matrix& m, double relative, double magnitude) {
  const std::vector<float> got = m.values(Side::kDevice), want = m.values(Side::kHost);
  for (size_t i = 0; i < got.size(); ++i) {
    if (got[i] == want[i]) continue;  // beyond F16's range too
    const double allowed = relative * std::max(std::abs(double{want[i]}), magnitude) + 2.1 * rounding(m.type()) * std::abs(want[i]) +
                           (m.type() == DType::kF16 ? 0x1p-24 : 0);
    ASSERT_LE(std::abs(double{got[i]} - want[i]), allowed)
        << name(m.type()) << " row " << static_cast<int64_t>(i) / m.cols() << " column " << static_cast<int64_t>(i) % m.cols()
        << ": got " << got[i] << ", want " << want[i];
  }
  m.expect_gaps_untouched();
}

// Random finite values in a weight's stored format.
class RandomWeight {
 public:
  RandomWeight(DType t, int64_t rows, int64_t cols, Random& random) : mirror_(static_cast<size_t>(rows * row_bytes(t, cols))) {
    view_ = {nullptr, t, rows, cols, row_bytes(t, cols)};
    for (size_t i = 0; i < mirror_.size(); ++i) mirror_.host()[i] = static_cast<uint8_t>(random());
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < cols; c += info(t).block) tame(t, mirror_.host() + r * view_.row_bytes + c / info(t).block * info(t).bytes, random);
  }
  WeightView on(Side side) const {
    WeightView v = view_;
    v.data = static_cast<const std::byte*>(mirror_.on(side));
    return v;
  }

 private:
  // Random bytes are fine as codes and small scales; floats and the half-precision factors are drawn.
  static void tame(DType t, uint8_t* block, Random& random) {
    const auto half = [&](int at, float scale) {
      const float f = normal(random, scale);
      quantize_row(DType::kF16, &f, block + at, 1);
    };
    const float f = normal(random);
    switch (t) {
      case DType::kF32: case DType::kF16: case DType::kBF16: quantize_row(t, &f, block, 1); return;
      case DType::kQ6_K: half(208, 2e-4f); return;
      case DType::kQ4_K: case DType::kQ5_K: half(0, 2e-3f), half(2, 2e-3f); return;
      case DType::kQ4_1: case DType::kQ5_1: half(0, 0.1f), half(2, 0.3f); return;
      default: half(0, 0.1f); return;
    }
  }
  Mirror mirror_;
  WeightView view_;
};

class CudaTest : public testing::Test {
 protected:
  void SetUp() override { skip_without_cuda(); }
  // call(table, side, stream) on the device, then on the reference.
  template <class F>
  void both(F&& call) {
    call(cuda_kernels(), Side::kDevice, device_stream());
    call(ref_kernels(), Side::kHost, host_stream_);
  }
  Random random{1};

 private:
  ThreadTeam team_{2};
  Stream host_stream_ = [this] {
    Stream s;
    s.team = &team_;
    return s;
  }();
};

inline const std::vector<DType> kActivations = {DType::kF32, DType::kBF16, DType::kF16};
inline const std::vector<DType> kFormats = {DType::kF32,  DType::kF16,  DType::kBF16, DType::kQ4_0, DType::kQ4_1, DType::kQ5_0,
                                            DType::kQ5_1, DType::kQ8_0, DType::kQ4_K, DType::kQ5_K, DType::kQ6_K};

}  // namespace transom::test
