// The blocked product in bfloat16 (vdpbf16ps: pairs of products added in float, denormals taken as zero), for weights of
// any type but F32, decoded to bfloat16 a panel at a time.
#include "kernels/cpu/isa.h"
#include "kernels/cpu/panel_bf16.h"

namespace transom::cpu {
namespace TRANSOM_ISA {
namespace {

struct DenseBF16 : PanelBF16 {
  static constexpr int64_t kTile = 12;
  template <int M>
  TRANSOM_INLINE static void multiply(const LinearX& x, int64_t t, int64_t k0, int64_t depth, const uint16_t* panel, F (&acc)[M][2]) {
    const uint16_t* rows[M];
    for (int i = 0; i < M; ++i) rows[i] = x.bf16 + (t + i) * x.bf16_stride + k0;
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
  static void run(const LinearX& x, int64_t t0, int64_t t1, int64_t k0, int64_t depth, const uint16_t* panel, float* sums) {
    multiply_tiles<DenseBF16, kTile>(x, t0, t1, k0, depth, panel, sums);
  }
};

void gemm(const LinearTile& g) {
  if (bf16_form(g.weight->dtype) == Form::kBF16) return gemm_panel<DenseBF16>(g);
  avx512_primitives().gemm(g);
}

int64_t panels(DType t, int64_t cols) {
  return bf16_form(t) == Form::kBF16 ? panels_at_once<DenseBF16>(cols) : avx512_primitives().panels(t, cols);
}
size_t linear_scratch(int64_t cols) {
  return static_cast<size_t>(larger(static_cast<int64_t>(avx512_primitives().linear_scratch(cols)), gemm_scratch<DenseBF16>(cols)));
}

}  // namespace
}  // namespace TRANSOM_ISA

void add_avx512bf16(Primitives& p) {
  p.gemm_form = TRANSOM_ISA::bf16_form;
  p.gemm = TRANSOM_ISA::gemm;
  p.panels = TRANSOM_ISA::panels;
  p.linear_scratch = TRANSOM_ISA::linear_scratch;
  p.attention = TRANSOM_ISA::attention;
  p.attention_part = TRANSOM_ISA::attention_part;
}

}  // namespace transom::cpu
