// Loading and storing activation elements for the reference kernels: plain, one element at a time, any activation type.
#pragma once

#include "base/error.h"
#include "base/threads.h"
#include "kernels/kernels.h"
#include "tensor/half.h"
#include "tensor/quant.h"

namespace transom::ref {

inline double load(const ConstView& v, int64_t r, int64_t c) {
  switch (v.dtype) {
    case DType::kF32: return v.row<float>(r)[c];
    case DType::kBF16: return bf16_to_f32(v.row<uint16_t>(r)[c]);
    case DType::kF16: return f16_to_f32(v.row<uint16_t>(r)[c]);
    case DType::kQ4_0: case DType::kQ4_1: case DType::kQ5_0: case DType::kQ5_1: case DType::kQ8_0: {
      float block[32];
      dequantize_row(v.dtype, static_cast<const std::byte*>(v.data) + row_bytes(v.dtype, r * v.stride + c / 32 * 32), block, 32);
      return block[c % 32];
    }
    default: fail(Code::kInternal, "ref kernel", "expected F32, BF16 or F16 activations, got {}", name(v.dtype));
  }
}

inline void store(const View& v, int64_t r, int64_t c, double x) {
  const float f = static_cast<float>(x);
  switch (v.dtype) {
    case DType::kF32: v.row<float>(r)[c] = f; return;
    case DType::kBF16: v.row<uint16_t>(r)[c] = f32_to_bf16(f); return;
    case DType::kF16: v.row<uint16_t>(r)[c] = f32_to_f16(f); return;
    default: fail(Code::kInternal, "ref kernel", "expected F32, BF16 or F16 activations, got {}", name(v.dtype));
  }
}

inline void accumulate(const View& v, int64_t r, int64_t c, double x) { v.row<float>(r)[c] += static_cast<float>(x); }

// f(i) for i in [0, n), each index on one thread.
template <class F>
void parallel(Stream& s, int64_t n, F&& f) {
  s.team->run([&](int rank, int size) {
    const TeamRange r = team_range(n, rank, size);
    for (int64_t i = r.begin; i < r.end; ++i) f(i);
  });
}

// Each is one row of the table; see kernels.h.
void embedding(const EmbeddingArgs&, Stream&);
void linear(const LinearArgs&, Stream&);
void rms_norm(const NormArgs&, Stream&);
void layer_norm(const NormArgs&, Stream&);
void rope_table(const RopeTableArgs&, Stream&);
void rope(const RopeArgs&, Stream&);
void kv_write(const KvWriteArgs&, Stream&);
void attention(const AttentionArgs&, Stream&);
void latent_attention(const LatentAttentionArgs&, Stream&);
void head_linear(const HeadLinearArgs&, Stream&);
void act_mul(const ActMulArgs&, Stream&);
void axpby(const AxpbyArgs&, Stream&);
void softcap(const SoftcapArgs&, Stream&);
void clamp(const ClampArgs&, Stream&);
void row_cutoff(const RowCutoffArgs&, Stream&);
void scale_columns(const ScaleColumnsArgs&, Stream&);
void match_rms(const MatchRmsArgs&, Stream&);
void position_growth(const PositionGrowthArgs&, Stream&);
void unfold_rows(const UnfoldRowsArgs&, Stream&);
void gather_rows(const GatherRowsArgs&, Stream&);
void routing(const RoutingArgs&, Stream&);
void expert_linear(const ExpertLinearArgs&, Stream&);
void combine_rows(const CombineRowsArgs&, Stream&);
void causal_conv(const CausalConvArgs&, Stream&);
void time_step(const TimeStepArgs&, Stream&);
void linear_recurrence(const LinearRecurrenceArgs&, Stream&);
void selective_scan(const SelectiveScanArgs&, Stream&);
void wkv(const WkvArgs&, Stream&);
void linear_grad_input(const LinearGradInputArgs&, Stream&);
void linear_grad_weight(const LinearGradWeightArgs&, Stream&);
void rms_norm_grad(const NormGradArgs&, Stream&);
void layer_norm_grad(const NormGradArgs&, Stream&);
void attention_grad(const AttentionGradArgs&, Stream&);
void act_mul_grad(const ActMulGradArgs&, Stream&);
void softcap_grad(const SoftcapGradArgs&, Stream&);
void clamp_grad(const ClampGradArgs&, Stream&);
void row_cutoff_grad(const RowCutoffGradArgs&, Stream&);
void scale_columns_grad(const ScaleColumnsGradArgs&, Stream&);
void match_rms_grad(const MatchRmsGradArgs&, Stream&);
void unfold_rows_grad(const UnfoldRowsGradArgs&, Stream&);
void scatter_rows(const ScatterRowsArgs&, Stream&);
void cross_entropy(const CrossEntropyArgs&, Stream&);
void adamw(const AdamWArgs&, Stream&);
void routing_grad(const RoutingGradArgs&, Stream&);
void combine_rows_grad(const CombineRowsGradArgs&, Stream&);
void causal_conv_grad(const CausalConvGradArgs&, Stream&);
void time_step_grad(const TimeStepGradArgs&, Stream&);
void linear_recurrence_grad(const LinearRecurrenceGradArgs&, Stream&);
void selective_scan_grad(const SelectiveScanGradArgs&, Stream&);
void wkv_grad(const WkvGradArgs&, Stream&);

// The parts of routing: one row's experts and weights; all pairs by expert. Also the CPU tables'.
void route_row(const RoutingArgs&, int64_t t);
void sort_pairs(const RoutingArgs&);

}  // namespace transom::ref
