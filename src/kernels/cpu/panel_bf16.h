// Weight panels in bfloat16, as vdpbf16ps and tdpbf16ps want them: panel[pair of columns][row][2]. For any weight type.
#pragma once

#include "kernels/cpu/formats.h"
#include "kernels/cpu/panel.h"

namespace transom::cpu::TRANSOM_ISA {
namespace {

struct PanelBF16 {
  static constexpr int64_t kDepth = 4096;
  using Element = uint16_t;

  // panel[pair of columns][row][2]
  static void unpack(const WeightView& w, int64_t n, int64_t count, int64_t k0, int64_t depth, float* rows, uint16_t* panel) {
    const int64_t even = (depth + 31) / 32 * 32;
    const bool stored = w.dtype == DType::kBF16;
    for (int64_t half = 0; half < 2; ++half) {
      const int64_t at = half * kLanes;
      for (int64_t r = 0; r < kLanes && !stored; ++r) {
        float* row = rows + r * kDepth;
        const int64_t decoded = at + r < count ? depth : 0;
        if (decoded) avx512_primitives().decode(w, n + at + r, k0, row, depth);
        memset(row + decoded, 0, static_cast<size_t>(even - decoded) * sizeof(float));
      }
      for (int64_t k = 0; k < even; k += 32) {
        I v[kLanes];
        for (int64_t r = 0; r < kLanes; ++r) {
          if (stored) {
            const int64_t there = at + r < count ? smaller(32, depth - k) : 0;
            const std::byte* p = w.data + (n + at + r) * w.row_bytes + (k0 + k) * 2;
            v[r] = _mm512_maskz_loadu_epi16(static_cast<__mmask32>((uint64_t{1} << there) - 1), p);
          } else {
            const float* p = rows + r * kDepth + k;
            const __m512bh pair = _mm512_cvtne2ps_pbh(loadu(p + 16), loadu(p));
            memcpy(&v[r], &pair, sizeof pair);
          }
        }
        transpose(v);
        for (int64_t j = 0; j < 16; ++j) store_i(panel + ((k / 2 + j) * kPanel + at) * 2, v[j]);
      }
    }
  }
};

// F32 weights stay in float.
Form bf16_form(DType t) { return t == DType::kF32 || t == DType::kF64 ? Form::kF32 : Form::kBF16; }

}  // namespace
}  // namespace transom::cpu::TRANSOM_ISA
