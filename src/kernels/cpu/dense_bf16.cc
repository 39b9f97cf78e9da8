// The blocked product in bfloat16 (vdpbf16ps: pairs of products added in float, denormals taken as zero), for weights of
// any type but F32, decoded to bfloat16 a panel at a time.
#include "kernels/cpu/formats.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/panel.h"

namespace transom::cpu {
namespace TRANSOM_ISA {
namespace {

struct DenseBF16 {
  static constexpr int64_t kDepth = 1024;
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
        if (decoded) avx512_primitives().dequantize(w.dtype, w.data + (n + at + r) * w.row_bytes + row_bytes(w.dtype, k0), row, depth);
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

  template <int M>
  TRANSOM_INLINE static void multiply(const LinearX& x, int64_t t, int64_t k0, int64_t depth, const uint16_t* panel, F (&acc)[M][2]) {
    const uint16_t* rows[M];
    for (int i = 0; i < M; ++i) rows[i] = x.bf16 + (t + i) * x.padded + k0;
    for (int64_t k = 0; k < depth; k += 2) {
      const __m512bh w0 = as_bf16(load_i(panel + k * kPanel)), w1 = as_bf16(load_i(panel + k * kPanel + 2 * kLanes));
      for (int i = 0; i < M; ++i) {
        int32_t pair;
        memcpy(&pair, rows[i] + k, 4);
        const __m512bh v = as_bf16(set1_i32(pair));
        acc[i][0] = _mm512_dpbf16_ps(acc[i][0], v, w0);
        acc[i][1] = _mm512_dpbf16_ps(acc[i][1], v, w1);
      }
    }
  }
  TRANSOM_INLINE static __m512bh as_bf16(I v) {
    __m512bh h;
    memcpy(&h, &v, sizeof h);
    return h;
  }
};

Form bf16_form(DType t) { return t == DType::kF32 || t == DType::kF64 ? Form::kF32 : Form::kBF16; }

void gemm(const LinearTile& g) {
  if (bf16_form(g.weight->dtype) == Form::kBF16) return gemm_panel<DenseBF16, 12>(g);
  avx512_primitives().gemm(g);
}

size_t linear_scratch(int64_t cols) {
  return static_cast<size_t>(larger(static_cast<int64_t>(avx512_primitives().linear_scratch(cols)), gemm_scratch<DenseBF16>()));
}

}  // namespace
}  // namespace TRANSOM_ISA

void add_avx512bf16(Primitives& p) {
  p.gemm_form = TRANSOM_ISA::bf16_form;
  p.gemm = TRANSOM_ISA::gemm;
  p.linear_scratch = TRANSOM_ISA::linear_scratch;
}

}  // namespace transom::cpu
