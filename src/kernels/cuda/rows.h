// The CUDA table's rows, and what they share on the host: streams, errors, checks. Kernels are plain (float accumulation, one
// warp or block a result) and capture-safe: no row reads a device value on the host, launch shapes come from host values
// alone, and no row allocates. Compiled with --fmad=false, so that a product and sum are fused where the source says fmaf and
// nowhere else: the same expression gives the same bits in every kernel. Implementation of kernels.h; see there.
#pragma once

#include <cuda_runtime_api.h>

#include <initializer_list>

#include "kernels/kernels.h"

namespace transom::cuda {

inline cudaStream_t stream_of(const Stream& s) { return static_cast<cudaStream_t>(s.cuda_stream); }

// Throws what the driver says unless `error` is success. After a launch: launched("op").
void check(cudaError_t error, const char* op);
void launched(const char* op);

// Error{kInternal} unless each type is one that activations may have.
void expect_activations(const char* op, std::initializer_list<DType> types);
[[noreturn]] void refuse_format(const char* op, DType format);

// Each is one row of the table.
void embedding(const EmbeddingArgs&, Stream&);
void linear(const LinearArgs&, Stream&);
void rms_norm(const NormArgs&, Stream&);
void layer_norm(const NormArgs&, Stream&);
void rope_table(const RopeTableArgs&, Stream&);
void rope(const RopeArgs&, Stream&);
void kv_write(const KvWriteArgs&, Stream&);
void attention(const AttentionArgs&, Stream&);
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
void combine_rows(const CombineRowsArgs&, Stream&);

}  // namespace transom::cuda
