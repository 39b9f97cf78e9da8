// Tensor: a value handle on a matrix of packed rows [rows, cols] in some device's memory, and Weight: one parameter's
// values in their stored format. Both share ownership of what keeps their memory alive (an arena tensor has no owner: it
// lives until its arena is reset).
#pragma once

#include <cstdint>
#include <memory>

#include "base/error.h"
#include "tensor/view.h"

namespace transom {

struct Tensor {
  View view;
  std::shared_ptr<const void> owner;
  int32_t node = -1;  // the tape's slot for this value's gradient, -1 when not recorded

  int64_t rows() const { return view.rows; }
  int64_t cols() const { return view.cols; }
  DType dtype() const { return view.dtype; }
  explicit operator bool() const { return view.data != nullptr; }

  // Columns [begin, begin + count) of every row; the memory is shared. Not recorded on a tape.
  Tensor columns(int64_t begin, int64_t count) const {
    CHECK(begin >= 0 && count >= 0 && begin + count <= view.cols);
    Tensor t = *this;
    t.view.data = static_cast<std::byte*>(view.data) + begin * info(view.dtype).bytes;
    t.view.cols = count;
    return t;
  }
  Tensor row_range(int64_t begin, int64_t count) const {
    CHECK(begin >= 0 && count >= 0 && begin + count <= view.rows);
    Tensor t = *this;
    t.view.data = static_cast<std::byte*>(view.data) + begin * view.stride * info(view.dtype).bytes;
    t.view.rows = count;
    return t;
  }
};

// A weight matrix [rows, cols] = [out_features, in_features], or a vector with rows = 1.
struct Weight {
  WeightView view;
  std::shared_ptr<const void> owner, packed_owner;

  explicit operator bool() const { return view.data != nullptr; }
  int64_t bytes() const { return view.rows * view.row_bytes; }
};

}  // namespace transom
