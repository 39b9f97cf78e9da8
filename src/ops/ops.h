// The operations that layers are written in: each checks its shapes, calls the device's kernel (the only caller), and,
// when the context has a tape, records its backward. Values are packed rows [T, cols]. Shape mistakes are our own bugs
// (Error{kInternal}); a missing kernel row is Error{kUnsupported} naming the op and the table.
#pragma once

#include <span>
#include <vector>

#include "ops/context.h"
#include "ops/tape.h"

namespace transom::ops {

// y [T, D] = scale * W[first + ids]; ids is [rows] in device memory. The row of the id `padding` takes no gradient (torch's
// padding_idx).
Tensor embedding(Ctx& cx, const Param& table, const int32_t* ids, int64_t rows, float scale = 1.f, int32_t padding = -1,
                 int64_t first = 0);
// All rows of a table as F32, whatever the type of activations.
Tensor whole_table(Ctx& cx, const Param& table);

// One linear map of a fused set that shares its input; bias may be null or an absent optional parameter.
struct LinearParam {
  const Param* weight;
  const Param* bias;
};
// out[i] [T, N_i] = x W_iᵀ + b_i, plus the adapters of the rows' sequences. Outputs are adjacent columns of one buffer.
void linear(Ctx& cx, const Tensor& x, std::span<const LinearParam> params, std::span<Tensor> out);
Tensor linear(Ctx& cx, const Tensor& x, const LinearParam& param);

enum class Norm : uint8_t { kRms, kLayer };
struct NormParam {
  Norm kind = Norm::kRms;
  const Param* weight = nullptr;
  const Param* bias = nullptr;
  float eps = 1e-6f, weight_offset = 0.f;
};
// y = norm(x); with groups > 1, of each of the row's `groups` vectors.
Tensor norm(Ctx& cx, const Tensor& x, const NormParam& p, int64_t groups = 1);
// s = x + scale * pending, y = norm(s), in one pass. Without a tape s is written over x.
struct AddNorm {
  Tensor sum, y;
};
AddNorm add_norm(Ctx& cx, const Tensor& x, const Tensor& pending, const NormParam& p, float scale = 1.f);
// x + scale * pending; without a tape written over x.
Tensor add(Ctx& cx, const Tensor& x, const Tensor& pending, float scale = 1.f);

// factor * x; without a tape written over x.
Tensor scale(Ctx& cx, const Tensor& x, float factor);
// All columns of x in parts, each times its factor; without a tape written over x.
struct ScaledPart {
  int64_t columns;
  float factor;
};
Tensor scale_parts(Ctx& cx, const Tensor& x, std::span<const ScaledPart> parts);

// Rotates heads of x, from each one's column `first` on, in place by the step's tables (also on a tape: no op needs the unrotated
// value).
void rope(Ctx& cx, Tensor& x, const RopeTables& tables, int64_t heads, bool interleaved, int64_t first = 0);
// cos and sin for the step's positions; inv_freq is a host array, and so is `axes`: the one of the batch's axis_positions that each
// frequency turns with, empty where it has no such choice.
RopeTables rope_tables(Ctx& cx, std::span<const float> inv_freq, float scale, std::span<const int32_t> axes = {});

// What attention adds to scores by the distance of key and query (kernels.h): the buckets, in device memory, and what each
// holds, in F32: [buckets, H], and [T, H * buckets] of queries and keys. Absent tensors add nothing.
struct Relative {
  const int32_t* bucket = nullptr;
  int32_t reach = 0, buckets = 0;
  Tensor by_head, by_query, by_key;
};
// A host array in the step's device memory.
const int32_t* upload(Ctx& cx, std::span<const int32_t> host);
const float* upload(Ctx& cx, std::span<const float> host);
// y [T, H * N] = for each head h, scale * x_h w_hᵀ: x [T, H * hd], w [N, H * hd]; F32.
Tensor head_products(Ctx& cx, const Tensor& x, const Tensor& w, int64_t heads, float scale);

struct AttentionParam {
  int64_t heads = 1, kv_heads = 1;
  float scale = 1.f;
  AttentionMask mask;
  float softcap = 0.f;
  const Param* sinks = nullptr;
  int32_t state = -1;  // where keys and values are kept; -1 for none
  Relative relative = {};
  const float* alibi = nullptr;  // [H] in device memory: the score grows by it for each step that a key is nearer
};
// q [T, H*hd], k and v [T, kv_heads*hd] -> [T, H*v_hd]. With state: writes k and v, then attends over all that is kept. Absent k
// and v are those of the layer whose state it is, which has attended before.
Tensor attention(Ctx& cx, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionParam& p);

struct LatentAttentionParam {
  int64_t heads = 1, value = 0;  // columns of a head's value
  float scale = 1.f;
  AttentionMask mask;
  const Param* expand = nullptr;  // [H * (nope + v), L]
  int32_t state = -1;             // keeps latent and rope of each token, side by side
};
// kernels.h: LatentAttentionArgs. q [T, H * (nope + R)], latent [T, L], rope [T, R] -> [T, H * v]. Where the table has no row of its
// own, whole texts are expanded to keys and values; steps that go on from earlier ones are absorbed: the queries and the results
// go through `expand` instead, and only the latents are read.
Tensor latent_attention(Ctx& cx, const Tensor& q, const Tensor& latent, const Tensor& rope, const LatentAttentionParam& p);
// Columns [begin, begin + count) of x, in its own memory; on a tape their gradient is added to x's.
Tensor columns(Ctx& cx, const Tensor& x, int64_t begin, int64_t count);
// q [T, H*hd] over the sources of its sequences; k and v are of the sources that begin in this step (cx.source), absent when
// none does. With state: writes them, then attends over what is kept of each sequence's source.
Tensor cross_attention(Ctx& cx, const Tensor& q, const Tensor& k, const Tensor& v, const AttentionParam& p);

// Each row becomes the mean of its sequence's rows: attention with equal scores.
Tensor sequence_means(Ctx& cx, const Tensor& x);

// act(gate) * up, or act(gate) when up is absent.
Tensor act_mul(Ctx& cx, const Tensor& gate, const Tensor& up, Activation act, const GateClamp& clamp = {});
Tensor softcap(Ctx& cx, const Tensor& x, float cap);
// x within ±limit; without a tape written over x.
Tensor clamp(Ctx& cx, const Tensor& x, float limit);
// kernels.h: RowCutoffArgs. Without a tape written over x.
Tensor row_cutoff(Ctx& cx, const Tensor& x, float deviations);
// Column c of x times factors[c], or all of x times the only factor.
Tensor scale_columns(Ctx& cx, const Tensor& x, const Param& factors);
// Each row of x at the root mean square of the same row of `like`.
Tensor match_rms(Ctx& cx, const Tensor& x, const Tensor& like, float eps);
// The factor of each of the step's rows, [T, 1] F32.
Tensor position_growth(Ctx& cx, const GrowthRule& rule);
// What a convolution over each of the step's packed sequences reads (kernels.h): x [sum of `from`, C] -> [sum of `to`, C * width].
// `from` and `to` are starts [count + 1] in device memory.
Tensor unfold_rows(Ctx& cx, const Tensor& x, const UnfoldRowsArgs& shape, int64_t rows);
// x[rows], rows [count] in device memory.
Tensor gather_rows(Ctx& cx, const Tensor& x, const int32_t* rows, int64_t count);

// Which experts each row goes through, and how much each counts.
struct Routing {
  Tensor weights;  // [T, k] F32
  RoutedRows routed;
  int64_t experts = 0, pairs = 0;  // E, T * k
};
// logits [T, E]; bias may be null.
Routing route(Ctx& cx, const Tensor& logits, const RoutingRule& rule, const Param* bias);
// The weights times their experts' factors, [E, 1].
Routing scale_experts(Ctx& cx, Routing r, const Param& factors);
// One projection of all experts, as a layer declares it.
struct ExpertParam {
  std::vector<const Param*> weights, biases;  // [E]; biases may be empty
  std::vector<const WeightView*> weight_views, bias_views;
  void add(const Param* weight, const Param* bias);  // bias may be null
};
// out[i] [T * k, N_i], rows in the order of positions, plus the adapters of the rows' sequences. x is either a step's rows, each
// taken wherever it goes (kRows), or the result of an earlier call (kPositions).
enum class From : uint8_t { kRows, kPositions };
void expert_linear(Ctx& cx, const Tensor& x, From from, const Routing& r, std::span<const ExpertParam* const> params, std::span<Tensor> out);
// Each row's weighted sum over its experts: x [T * k, D] in the order of positions -> [T, D].
Tensor combine(Ctx& cx, const Tensor& x, const Routing& r);
// Row t of x times factors[t], [T, 1].
Tensor scale_rows(Ctx& cx, const Tensor& x, const Tensor& factors);

// Recurrences over a sequence's rows (kernels.h). What is kept of a sequence: the numbers from `begin` on in the layer's
// `state`; -1, or without states (training): sequences begin anew with every step, and nothing is kept.
struct Kept {
  int32_t state = -1;
  int64_t begin = 0;
};
// weight [C, K], bias [C] or null; keeps (K - 1) * C numbers.
Tensor causal_conv(Ctx& cx, const Tensor& x, const Param& weight, const Param* bias, const Kept& kept);
// dt and log_decay [T, H] F32.
struct TimeSteps {
  Tensor dt, log_decay;
};
TimeSteps time_steps(Ctx& cx, const Tensor& x, const Param& bias, const Param& a_log, float least, float most);
// q, k [T, key_heads * dk], v [T, heads * dv] -> [T, heads * dv]; keeps heads * dk * dv numbers.
struct LinearRecurrenceParam {
  int64_t heads = 1, key_heads = 1;
  float scale = 1.f;
  bool delta = false;
  const Param* skip = nullptr;
  Kept kept;
};
Tensor linear_recurrence(Ctx& cx, const Tensor& q, const Tensor& k, const Tensor& v, const Tensor& log_decay, const Tensor& factor,
                         const LinearRecurrenceParam& p);
// x, dt [T, D]; b, c [T, N]; a_log [D, N]; keeps D * N numbers.
struct SelectiveScanParam {
  const Param *a_log, *skip;
  Kept kept;
};
Tensor selective_scan(Ctx& cx, const Tensor& x, const Tensor& dt, const Tensor& b, const Tensor& c, const SelectiveScanParam& p);
// k, v [T, C]; keeps 3 * C numbers.
Tensor wkv(Ctx& cx, const Tensor& k, const Tensor& v, const Param& decay, const Param& first, const Kept& kept);
// mix[c] * x[t, c] + (1 - mix[c]) * x[t - 1, c]; keeps C numbers.
Tensor token_shift(Ctx& cx, const Tensor& x, const Param& mix, const Kept& kept);
// The columns of tensors that linear() laid side by side, as one, in their own memory.
Tensor side_by_side(Ctx& cx, std::span<const Tensor> parts);
// The columns `times` times over, side by side.
Tensor repeat(Ctx& cx, const Tensor& x, int64_t times);

// Mean negative log-likelihood over labels that are not -100 (their number, `counted`, is the caller's). Labels [T] in device
// memory. With a tape the gradient of the mean is put into logits' slot. Returns the loss on the host.
double cross_entropy(Ctx& cx, const Tensor& logits, const int32_t* labels, int64_t counted);

}  // namespace transom::ops
