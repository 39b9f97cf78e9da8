// The functions that the files of one instruction set share: each is defined in one of them. Their namespace is the
// instruction set's, so that every copy has a name of its own.
#pragma once

#include "kernels/cpu/primitives.h"

namespace transom::cpu::TRANSOM_ISA {

void norm(const NormArgs&, bool centred, int64_t begin, int64_t end);
void rope_table(const RopeTableArgs&, int64_t begin, int64_t end);
void rope(const RopeArgs&, int64_t begin, int64_t end);
void act_mul(const ActMulArgs&, int64_t row, int64_t begin, int64_t end);
void axpby(const AxpbyArgs&, int64_t row, int64_t begin, int64_t end);
void softcap(const SoftcapArgs&, int64_t row, int64_t begin, int64_t end);
void causal_conv(const CausalConvArgs&, int32_t s, int64_t begin, int64_t end, float* scratch);
void time_step(const TimeStepArgs&, int64_t row, int64_t begin, int64_t end);
int64_t recurrence_columns();
void linear_recurrence(const LinearRecurrenceArgs&, int32_t s, int64_t h, int64_t first, float* scratch);
void selective_scan(const SelectiveScanArgs&, int32_t s, int64_t begin, int64_t end, float* scratch);
void wkv(const WkvArgs&, int32_t s, int64_t begin, int64_t end);
void clamp(const ClampArgs&, int64_t row, int64_t begin, int64_t end);
void convert(DType to, void* dst, DType from, const void* src, int64_t n, float scale);
void decode(const WeightView& w, int64_t row, int64_t begin, float* dst, int64_t n);

void prepare_x(const LinearX&, const ConstView& x, int64_t t);
Form gemv_form(DType);
void gemv(const LinearTile&);
void gemv_float(const LinearTile&);  // F32, F16, BF16 as stored; other types through decode
size_t gemv_scratch(int64_t cols);
void gemm_f32(const LinearTile&);
size_t gemm_f32_scratch(int64_t cols);
int64_t gemm_f32_panels(DType, int64_t cols);

// Replaces products of quantized weights by those with activations of 8 bits, where there is vpdpbusd.
void add_q8(Primitives&);

void attention(const AttentionArgs&, const AttentionTile&, std::byte* scratch);
void attention_part(const AttentionArgs&, const AttentionTile&, int64_t segment, float* out, std::byte* scratch);
void attention_merge(const AttentionArgs&, const AttentionTile&, int64_t segments, const float* parts, std::byte* scratch);
size_t attention_scratch(const AttentionArgs&);
int64_t attention_part_floats(const AttentionArgs&);

}  // namespace transom::cpu::TRANSOM_ISA
