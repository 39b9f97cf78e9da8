// Inputs for the kernel tests: activation matrices at odd addresses and strides whose surroundings are watched, random
// weights of every format, and the comparison of a table's result with the reference's.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/threads.h"
#include "kernels/kernels.h"
#include "tensor/half.h"
#include "tensor/quant.h"

namespace transom::test {

using Random = std::mt19937;

inline float normal(Random& r, float scale = 1.f) { return std::normal_distribution<float>(0.f, scale)(r); }
inline int uniform(Random& r, int low, int high) { return std::uniform_int_distribution<int>(low, high)(r); }

// A matrix in a buffer of exactly its size, one element past an aligned address, rows `gap` elements apart.
class Matrix {
 public:
  Matrix(DType t, int64_t rows, int64_t cols, int64_t gap = 3) : bytes_((rows * (cols + gap) + 1) * info(t).bytes, 0xa5) {
    view_ = {bytes_.data() + info(t).bytes, t, rows, cols, cols + gap};
  }
  Matrix(const Matrix& o) : bytes_(o.bytes_), view_(o.view_) { view_.data = bytes_.data() + info(view_.dtype).bytes; }
  Matrix& operator=(const Matrix&) = delete;

  const View& view() const { return view_; }
  operator View() const { return view_; }            // NOLINT: stands for its view in argument structs
  operator ConstView() const { return view_; }       // NOLINT
  float get(int64_t r, int64_t c) const {
    float f;
    dequantize_row(view_.dtype, at(r, c), &f, 1);
    return f;
  }
  void set(int64_t r, int64_t c, float f) { quantize_row(view_.dtype, &f, at(r, c), 1); }
  Matrix& fill(Random& random, float scale = 1.f) {
    for (int64_t r = 0; r < view_.rows; ++r)
      for (int64_t c = 0; c < view_.cols; ++c) set(r, c, normal(random, scale));
    return *this;
  }
  Matrix& fill(float f) {
    for (int64_t r = 0; r < view_.rows; ++r)
      for (int64_t c = 0; c < view_.cols; ++c) set(r, c, f);
    return *this;
  }
  // Nothing was written before the first element or between the rows.
  void expect_surroundings_untouched() const {
    const int64_t size = info(view_.dtype).bytes;
    for (int64_t i = 0; i < static_cast<int64_t>(bytes_.size()); ++i) {
      const int64_t element = i / size - 1;
      if (i >= size && element % view_.stride < view_.cols) continue;
      ASSERT_EQ(bytes_[i], 0xa5) << "byte " << i;
    }
  }
  bool same_bytes(const Matrix& o) const { return bytes_ == o.bytes_; }

 private:
  uint8_t* at(int64_t r, int64_t c) const {
    return static_cast<uint8_t*>(view_.data) + (r * view_.stride + c) * info(view_.dtype).bytes;
  }
  std::vector<uint8_t> bytes_;
  View view_;
};

// Half a step of the type, relative to the value at most; and the step of the smallest values.
inline double rounding(DType t) { return t == DType::kF32 ? 0x1p-24 : t == DType::kBF16 ? 0x1p-8 : 0x1p-11; }
inline double smallest(DType t) { return t == DType::kF16 ? 0x1p-24 : 1e-38; }

// |got - want| <= relative * max(|want|, magnitude) + one step of the output's type.
inline void expect_close(const Matrix& got, const Matrix& want, double relative, double magnitude) {
  const View& v = got.view();
  for (int64_t r = 0; r < v.rows; ++r)
    for (int64_t c = 0; c < v.cols; ++c) {
      const double a = got.get(r, c), b = want.get(r, c);
      if (a == b || (std::isnan(a) && std::isnan(b))) continue;
      const double limit = relative * std::max(std::abs(b), magnitude) + 2.1 * rounding(v.dtype) * std::abs(b) + smallest(v.dtype);
      ASSERT_LE(std::abs(a - b), limit) << "row " << r << " column " << c << ": got " << a << ", want " << b;
    }
  got.expect_surroundings_untouched();
}

// A random weight of any type that dequantize_row knows: random bits, with the scales set to plausible values.
struct RandomWeight {
  std::vector<uint8_t> bytes;
  WeightView view;

  RandomWeight(DType t, int64_t rows, int64_t cols, Random& random, int64_t offset = 1) {
    const int64_t row = row_bytes(t, cols);
    bytes.assign(static_cast<size_t>(row * rows + offset), 0);
    for (uint8_t& b : bytes) b = static_cast<uint8_t>(random());
    uint8_t* p = bytes.data() + offset;
    if (!is_quantized(t) && is_float(t)) {
      std::vector<float> f(cols);
      for (int64_t r = 0; r < rows; ++r) {
        for (float& x : f) x = normal(random, 0.05f);
        encode(t, f, p + r * row);
      }
    }
    if (is_quantized(t))
      for (int64_t b = 0; b < rows * cols / info(t).block; ++b) set_scales(t, p + b * info(t).bytes, random);
    view = {reinterpret_cast<const std::byte*>(p), t, rows, cols, row};
  }

 private:
  static void encode(DType t, const std::vector<float>& f, uint8_t* p) {
    if (t != DType::kF64) return quantize_row(t, f.data(), p, static_cast<int64_t>(f.size()));
    for (size_t i = 0; i < f.size(); ++i) store_le(p + 8 * i, double{f[i]});
  }
  static void set_scales(DType t, uint8_t* p, Random& random) {
    const auto half = [&](int at, float scale) { store_le(p + at, f32_to_f16(scale * (1 + 0.1f * normal(random)))); };
    switch (t) {
      case DType::kQ4_1: case DType::kQ5_1: half(0, 0.01f), half(2, -0.1f); break;
      case DType::kQ2_K: half(80, 0.01f), half(82, 0.015f); break;
      case DType::kQ3_K: half(108, 0.001f); break;
      case DType::kQ4_K: case DType::kQ5_K: half(0, 0.0003f), half(2, 0.002f); break;
      case DType::kQ6_K: half(208, 0.0001f); break;
      case DType::kQ8_K: store_le(p, 0.01f); break;
      case DType::kTQ1_0: half(52, 0.05f); break;
      case DType::kTQ2_0: half(64, 0.05f); break;
      case DType::kMXFP4: p[0] = static_cast<uint8_t>(118 + uniform(random, 0, 3)); break;
      case DType::kIQ1_M:  // the half's nibbles are the tops of four words
        for (int i = 0; i < 4; ++i) p[49 + 2 * i] = static_cast<uint8_t>((p[49 + 2 * i] & 15) | (0x2123 >> (4 * i) & 15) << 4);
        break;
      default: half(0, 0.01f);
    }
  }
};

// The types that the decoders of stored weights know, beside plain floats.
inline std::vector<DType> weight_types() {
  std::vector<DType> types = {DType::kF32, DType::kF16, DType::kBF16};
  for (int i = 0; i < static_cast<int>(DType::kCount); ++i)
    if (const DType t = static_cast<DType>(i); is_quantized(t) && can_dequantize(t) && info(t).block > 1) types.push_back(t);
  return types;
}

inline Stream stream_of(ThreadTeam& team) {
  Stream s;
  s.team = &team;
  return s;
}

// A team and its scratch, and the reference.
struct Bench {
  ThreadTeam team{2};
  Stream stream = stream_of(team);
  const Kernels& ref = ref_kernels();
};

// A test of one table, instantiated with all that this machine can run.
class TableTest : public testing::TestWithParam<std::string_view> {
 protected:
  const Kernels& table() const { return kernels_by_name(GetParam()); }
  Bench bench;
  Random random{42};
  const DType activations[3] = {DType::kF32, DType::kBF16, DType::kF16};
};

// All but the reference, with which they are compared.
inline std::vector<std::string_view> fast_tables() {
  std::vector<std::string_view> names = available_kernels();
  names.pop_back();
  return names;
}

inline std::string table_name(const testing::TestParamInfo<std::string_view>& i) {
  std::string s(i.param);
  for (char& c : s)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return s;
}

}  // namespace transom::test
