// Weight panels in bfloat16, as vdpbf16ps and tdpbf16ps want them: panel[pair of columns][row][2]. For any weight type.
#pragma once

#include "kernels/cpu/expand.h"
#include "kernels/cpu/levels_bf16.h"
#include "kernels/cpu/panel.h"

namespace transom::cpu::TRANSOM_ISA {
namespace {

// Elements [begin, begin + n) of a row as bfloat16, then zeros up to a multiple of 32; `tmp` holds them as float. Formats of blocks: begin
// and n are whole blocks, or n is the rest of the row.
inline void decode_bf16(const WeightView& w, int64_t row, int64_t begin, int64_t n, float* tmp, uint16_t* dst) {
  const std::byte* src = w.data + row * w.row_bytes + (w.dtype == DType::kCoded ? 0 : row_bytes(w.dtype, begin));
  const auto put = [&dst](int64_t i, F a, F b) { store_i(dst + i, bf16_pair(a, b)); };
  const auto expand = [&](auto f) {
    using Fmt = decltype(f);
    if constexpr (kByTable<Fmt>) look_up_bf16<Fmt>(reinterpret_cast<Bytes>(src), n, dst);
    else expand_format<Fmt>(reinterpret_cast<Bytes>(src), n, put);
  };
  if (with_format(w.dtype, expand)) return;
  if (w.dtype == DType::kF16) {
    const auto* half = reinterpret_cast<const uint16_t*>(src);
    int64_t k = 0;
    for (; k + 32 <= n; k += 32) put(k, from_f16(load_half(half + k)), from_f16(load_half(half + k + 16)));
    begin += k, n -= k, dst += k;
    if (n == 0) return;
  }
  avx512_primitives().decode(w, row, begin, tmp, n);
  for (int64_t k = 0; k < n; k += 32) {
    const int64_t left = n - k;
    put(k, left >= 16 ? loadu(tmp + k) : load_part(tmp + k, left), left >= 32 ? loadu(tmp + k + 16) : left > 16 ? load_part(tmp + k + 16, left - 16) : zero());
  }
}

// What a row of bfloat16 holds from column k on, zeros past its end.
TRANSOM_INLINE I load_pairs(const std::byte* row, int64_t k, int64_t cols) {
  return cols - k >= 32 ? load_i(row + 2 * k) : _mm512_maskz_loadu_epi16(static_cast<__mmask32>((uint64_t{1} << larger(0, cols - k)) - 1), row + 2 * k);
}

struct PanelBF16 {
  static constexpr int64_t kDepth = 4096;
  // Columns that are decoded before they are transposed: whole blocks of any format, and rows of them that stay in the first-level cache,
  // apart from one another there.
  static constexpr int64_t kDecoded = 512, kApart = kDecoded + 32, kRowFloats = kLanes / 2 * kApart + kDecoded;
  using Element = uint16_t;

  // panel[pair of columns][row][2]
  static void unpack(const WeightView& w, int64_t n, int64_t count, int64_t k0, int64_t depth, float* rows, uint16_t* panel) {
    const bool stored = w.dtype == DType::kBF16;
    auto* decoded = reinterpret_cast<uint16_t*>(rows);  // kLanes rows, then one of floats
    for (int64_t half = 0; half < 2; ++half) {
      const int64_t at = half * kLanes, there = larger(0, smaller(kLanes, count - at));
      for (int64_t k = 0; k < depth; k += 32) {
        if (!stored && k % kDecoded == 0)
          for (int64_t r = 0; r < there; ++r)
            decode_bf16(w, n + at + r, k0 + k, smaller(kDecoded, depth - k), rows + kLanes / 2 * kApart, decoded + r * kApart);
        I v[kLanes];
        for (int64_t r = 0; r < kLanes; ++r) {
          const std::byte* row = w.data + (n + at + r) * w.row_bytes + k0 * 2;
          v[r] = r >= there ? zero_i() : stored ? load_pairs(row, k, depth) : load_i(decoded + r * kApart + k % kDecoded);
        }
        transpose(v);
        for (int64_t j = 0; j < 16; ++j) store_i(panel + ((k / 2 + j) * kPanel + at) * 2, v[j]);
      }
    }
  }
};

// F32 weights stay in float, unless the activations they meet are bfloat16.
Form bf16_form(DType weight, DType x) { return weight == DType::kF64 || (weight == DType::kF32 && x != DType::kBF16) ? Form::kF32 : Form::kBF16; }
bool in_float(const LinearTile& g) { return g.weight->dtype == DType::kF64 || (g.weight->dtype == DType::kF32 && g.x->f32); }

}  // namespace
}  // namespace transom::cpu::TRANSOM_ISA
