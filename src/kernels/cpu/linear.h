// Sharing a linear call among threads: see linear.cc and expert_linear.cc.
#pragma once

#include <algorithm>

#include "base/threads.h"
#include "kernels/cpu/primitives.h"

namespace transom::cpu {

inline constexpr int64_t kAloneBytes = 24 << 10;  // a call that reads less runs on the calling thread

inline int64_t align(int64_t bytes) { return (bytes + 63) / 64 * 64; }
// A distance of rows in elements of `size` bytes, at which the same column of several rows does not fall into one set of the first-level
// cache.
inline int64_t apart(int64_t cols, int64_t size) { return cols * size % 4096 == 0 ? cols + 64 / size : cols; }

// Which forms of the activations a call needs, laid out in memory, `groups` groups of rows side by side; with a null base it only counts.
// Activations that are in the form already are read where they are unless `copy`.
struct Forms {
  bool f32 = false, bf16 = false, tiles = false, q8 = false, quad = false, pair = false;

  void add(Form f) {
    f32 |= f == Form::kF32;
    bf16 |= f == Form::kBF16;
    tiles |= f == Form::kTiles;
    q8 |= f == Form::kQ8;
    quad |= f == Form::kQ16Quad;
    pair |= f == Form::kQ16Pair;
  }
  bool grouped() const { return tiles || q8; }
  int64_t place(LinearX& x, const ConstView& v, int64_t groups, std::byte* base, bool copy = false) const {
    int64_t used = 0;
    const auto take = [&](int64_t bytes) {
      std::byte* p = base + used;
      used += align(bytes);
      return p;
    };
    const int64_t rows = v.rows, padded = (v.cols + 127) / 128 * 128;
    x = {.rows = rows, .cols = v.cols, .padded = padded};
    if (f32) {
      const bool as_is = !copy && v.dtype == DType::kF32 && v.cols == padded;
      x.f32 = as_is ? static_cast<float*>(const_cast<void*>(v.data)) : reinterpret_cast<float*>(take(rows * apart(padded, 4) * 4));
      x.f32_stride = as_is ? v.stride : apart(padded, 4);
    }
    if (bf16) {
      const bool as_is = !copy && v.dtype == DType::kBF16 && v.cols % 32 == 0 && rows % kTileRows == 0 && apart(v.stride, 2) == v.stride;
      x.bf16_stride = as_is ? v.stride : apart(padded, 2);
      x.bf16 = as_is ? static_cast<uint16_t*>(const_cast<void*>(v.data)) : reinterpret_cast<uint16_t*>(take((rows + kTileRows - 1) * x.bf16_stride * 2));
    }
    if (tiles) x.tiles = reinterpret_cast<uint32_t*>(take(groups * padded * 32));
    if (q8) x.q8 = take(groups * (padded / 32) * kQ8Block);
    if (quad) x.q16[0] = take(rows * padded * kQ16Bytes);
    if (pair) x.q16[1] = take(rows * padded * kQ16Bytes);
    if (quad || pair) {
      const int64_t blocks = padded / 32;
      x.d = reinterpret_cast<float*>(take(rows * blocks * 4));
      x.s32 = reinterpret_cast<float*>(take(rows * blocks * 4));
      x.s16 = reinterpret_cast<float*>(take(rows * blocks * 8));
    }
    return used;
  }
};

// This thread's share of all groups, rows_of(group) being their rows; by columns too: two threads that fill rows of one group would write to the
// same cache lines.
template <class RowsOf>
void prepare_groups(const Primitives& p, const LinearX& x, int64_t groups, int rank, int size, RowsOf&& rows_of) {
  constexpr int64_t kColumns = 256;
  const int64_t pieces = (x.padded + kColumns - 1) / kColumns;
  const TeamRange range = team_range(groups * pieces, rank, size);
  for (int64_t i = range.begin; i < range.end; ++i)
    p.prepare_group(x, i / pieces, rows_of(i / pieces), i % pieces * kColumns, std::min((i % pieces + 1) * kColumns, x.padded));
}

// With `one_order`, every number of rows goes through the kernel of few rows.
void run_linear(const Primitives& p, const LinearArgs& a, Stream& s, bool one_order);
void run_expert_linear(const Primitives& p, const ExpertLinearArgs& a, Stream& s, bool one_order);
void run_head_linear(const Primitives& p, const HeadLinearArgs& a, Stream& s);
void run_attention(const Primitives& p, const AttentionArgs& a, Stream& s, bool one_order);

}  // namespace transom::cpu
