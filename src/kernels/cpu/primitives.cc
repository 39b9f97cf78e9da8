// The set of one instruction set; see primitives.h. The sets with more than the vector code (avx512bf16, amx) start from
// another one's and are in files of their own.
#include "kernels/cpu/isa.h"
#include "kernels/cpu/panel.h"

namespace transom::cpu {
namespace TRANSOM_ISA {
namespace {

Form float_form(DType) { return Form::kF32; }
int64_t few_rows(DType t) { return is_quantized(t) ? 12 : 6; }
size_t linear_scratch(int64_t cols) {
  const size_t a = gemv_scratch(cols), b = gemm_f32_scratch(cols);
  return a > b ? a : b;
}

constexpr Primitives kPrimitives = {
    .norm = norm,
    .rope_table = rope_table,
    .rope = rope,
    .act_mul = act_mul,
    .axpby = axpby,
    .softcap = softcap,
    .clamp = clamp,
    .time_step = time_step,
    .causal_conv = causal_conv,
    .selective_scan = selective_scan,
    .wkv = wkv,
    .recurrence_columns = recurrence_columns,
    .linear_recurrence = linear_recurrence,
    .convert = convert,
    .decode = decode,
    .prepare_x = prepare_x,
    .gemv_form = gemv_form,
    .few_rows = few_rows,
    .gemv = gemv,
    .panel = kPanel,
    .panels = gemm_f32_panels,
    .gemm_form = [](DType t, DType) { return float_form(t); },
    .gemm = gemm_f32,
    .linear_scratch = linear_scratch,
    .attention = attention,
    .attention_part = attention_part,
    .attention_merge = attention_merge,
    .attention_scratch = attention_scratch,
    .attention_part_floats = attention_part_floats,
};

}  // namespace
}  // namespace TRANSOM_ISA

#if defined(__AVX512F__)
const Primitives& avx512_primitives() {
  static const Primitives primitives = [] {
    Primitives p = TRANSOM_ISA::kPrimitives;
    TRANSOM_ISA::add_q8(p);
    return p;
  }();
  return primitives;
}
#else
const Primitives& avx2_primitives() { return TRANSOM_ISA::kPrimitives; }
#endif

}  // namespace transom::cpu
