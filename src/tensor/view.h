// Plain, non-owning views: what kernels see. A View is a matrix of packed rows [rows, cols] with a row stride in elements;
// rank-3 data ([T, heads, head_dim]) is a View whose cols are heads * head_dim. A WeightView is a weight matrix [rows, cols]
// (out_features, in_features) in any format, as stored in the file, with a row stride in bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tensor/dtype.h"

namespace transom {

struct View {
  void* data = nullptr;
  DType dtype = DType::kF32;
  int64_t rows = 0, cols = 0, stride = 0;

  template <class T>
  T* row(int64_t r) const {
    return static_cast<T*>(data) + r * stride;
  }
  explicit operator bool() const { return data != nullptr; }
};

struct ConstView {
  const void* data = nullptr;
  DType dtype = DType::kF32;
  int64_t rows = 0, cols = 0, stride = 0;

  ConstView() = default;
  ConstView(const void* d, DType t, int64_t r, int64_t c, int64_t s) : data(d), dtype(t), rows(r), cols(c), stride(s) {}
  ConstView(const View& v) : data(v.data), dtype(v.dtype), rows(v.rows), cols(v.cols), stride(v.stride) {}  // NOLINT

  template <class T>
  const T* row(int64_t r) const {
    return static_cast<const T*>(data) + r * stride;
  }
  explicit operator bool() const { return data != nullptr; }
};

struct Coded;

struct WeightView {
  const std::byte* data = nullptr;
  DType dtype = DType::kF32;
  int64_t rows = 0, cols = 0, row_bytes = 0;
  const std::byte* packed = nullptr;  // the same weight in the running kernels' own layout, or null (see Kernels::pack)
  const Coded* coded = nullptr;       // of DType::kCoded: where its parts lie; `data` is then only where the codes begin

  const std::byte* row(int64_t r) const { return data + r * row_bytes; }
  explicit operator bool() const { return data != nullptr; }
};

}  // namespace transom
