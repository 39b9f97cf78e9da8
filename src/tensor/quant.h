// Reference conversion of stored rows to float and back, for every DType: plain scalar code that defines what a format's
// bytes mean. Kernels are tested against it. The block layouts are those of GGUF files (ggml's block structs); the
// results equal those of the `gguf` Python package bit for bit.
#pragma once

#include <cstdint>

#include "tensor/view.h"

namespace transom {

// Whether dequantize_row knows the type (all but C64 and F6, whose packing no producer defines).
bool can_dequantize(DType t);

// Decodes n elements (a multiple of the type's block) from src, at any alignment, to dst. Integers and booleans become
// their value. Code::kUnsupported for a type that can_dequantize refuses.
void dequantize_row(DType t, const void* src, float* dst, int64_t n);

// Decodes elements [begin, begin + n) of a weight's row, in any format; both are multiples of the type's block.
void decode_row(const WeightView& w, int64_t row, int64_t begin, float* dst, int64_t n);

// Encodes n elements (a multiple of the block) as F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1 or Q8_0, with the rounding of
// ggml's reference code. Code::kUnsupported for other types.
void quantize_row(DType t, const float* src, void* dst, int64_t n);

// Decoders of one block, by family; `block` holds info(t).bytes bytes and `out` gets info(t).block values.
namespace blocks {
void q4_0(const uint8_t* block, float* out);
void q4_1(const uint8_t* block, float* out);
void q5_0(const uint8_t* block, float* out);
void q5_1(const uint8_t* block, float* out);
void q8_0(const uint8_t* block, float* out);
void q8_1(const uint8_t* block, float* out);
void mxfp4(const uint8_t* block, float* out);
void tq1_0(const uint8_t* block, float* out);
void tq2_0(const uint8_t* block, float* out);

void q2_k(const uint8_t* block, float* out);
void q3_k(const uint8_t* block, float* out);
void q4_k(const uint8_t* block, float* out);
void q5_k(const uint8_t* block, float* out);
void q6_k(const uint8_t* block, float* out);
void q8_k(const uint8_t* block, float* out);

void iq1_s(const uint8_t* block, float* out);
void iq1_m(const uint8_t* block, float* out);
void iq2_xxs(const uint8_t* block, float* out);
void iq2_xs(const uint8_t* block, float* out);
void iq2_s(const uint8_t* block, float* out);
void iq3_xxs(const uint8_t* block, float* out);
void iq3_s(const uint8_t* block, float* out);
void iq4_nl(const uint8_t* block, float* out);
void iq4_xs(const uint8_t* block, float* out);
}  // namespace blocks

}  // namespace transom
