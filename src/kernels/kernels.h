// The kernel table: this page lists all that a device must provide. Each row is a function over plain views; an empty row
// means that ops/ composes the op from others or throws Error{kUnsupported}. T = rows of the step (packed rows of all
// sequences, no padding), D = hidden size, H = heads, hd = head size. Pointers are in the device's memory; plain numbers in
// an argument struct are host values, so that a captured graph's launch shapes depend on them alone.
//
// Contract of every row: inputs and outputs may not overlap unless the row says so; every element of an output is written;
// activations are F32, BF16 or F16 (loaded to float, stored by rounding to nearest even); norms, softmax, routers and
// reductions accumulate in float at least (ref: double). For one table the order of summation over K is fixed per weight
// format, whatever T and the number of threads ("row invariance"), unless the table's name says otherwise.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "tensor/view.h"

namespace transom {

class ThreadTeam;

// Where a kernel runs: a CPU stream is a team of threads and its scratch, a CUDA stream a cudaStream_t.
struct Stream {
  ThreadTeam* team = nullptr;
  void* cuda_stream = nullptr;
  // Host scratch that a kernel may use until it returns; grows, never shrinks. Aligned to 64 bytes.
  std::byte* scratch(size_t bytes);

 private:
  std::shared_ptr<std::byte> scratch_;
  size_t scratch_bytes_ = 0;
};

enum class Activation : uint8_t { kSilu, kGelu, kGeluTanh, kRelu, kTanh, kSigmoid, kQuickGelu, kIdentity, kRelu2 };

// y[t] = scale * W[ids[t]]; an id outside the table is the caller's mistake (checked on the host before the step).
struct EmbeddingArgs {
  WeightView weight;   // [V, D]
  const int32_t* ids;  // [T]
  View y;              // [T, D]
  float scale = 1.f;
};

// For each segment: y = alpha * x Wᵀ + bias + beta * y. All segments share x, which is quantized or packed once.
struct LinearSegment {
  WeightView weight;            // [N, K]
  const float* bias = nullptr;  // [N] or null
  View y;                       // [T, N]
};
struct LinearArgs {
  ConstView x;  // [T, K]
  std::span<const LinearSegment> segments;
  float alpha = 1.f, beta = 0.f;
};

// s = x + pending_scale * pending (pending may be absent); sum = s if wanted (may be x itself);
// y = norm(s) * (weight + weight_offset) [+ bias]; y may be x when sum is absent.
struct NormArgs {
  ConstView x, pending;  // [T, D]; [T, groups * D] when groups > 1
  View sum, y;
  const float* weight = nullptr;  // [D]; null means ones
  const float* bias = nullptr;    // layer_norm only
  float eps = 1e-6f, weight_offset = 0.f, pending_scale = 1.f;
  int64_t groups = 1;  // each row is `groups` independent vectors of cols / groups elements (qk-norm)
  bool whole_weight = false;  // weight and bias are [groups * D]: each group has its own
};

// cos, sin [T, R]: cos(position * inv_freq) * scale, R = rotary_dim / 2, the angle rounded to float as transformers does.
struct RopeTableArgs {
  const int32_t* positions;  // [T], or [axes, T]
  const float* inv_freq;     // [R]
  float scale = 1.f;
  View cos, sin;  // F32
  const int32_t* axis = nullptr;  // [R]: the row of positions that a frequency turns with; null: there is one
};
// Rotates 2R of every head of x, from `first` on, in place. Pairs are (i, i + R), or (2i, 2i + 1) when interleaved.
struct RopeArgs {
  View x;  // [T, heads * hd]
  ConstView cos, sin;
  int64_t heads = 1, first = 0;
  bool interleaved = false;
  bool inverse = false;  // rotates back (the backward pass)
};

// The sequences of a step. Query rows of sequence s are [q_start[s], q_start[s+1]); its state holds kv_len[s] tokens after
// this step's are written; its queries are the last ones. pages == null: keys and values are packed rows of this very step (no
// state), row k_start[s] + j, or q_start[s] + j where they are the queries' own rows. Else token j is at row
// pages[s * max_pages + j / page_size] * page_size + j % page_size.
struct SequenceTable {
  int32_t count = 0;
  const int32_t* q_start = nullptr;  // [count + 1]
  const int32_t* kv_len = nullptr;   // [count]
  const int32_t* k_start = nullptr;  // [count + 1] or null
  const int32_t* pages = nullptr;    // [count, max_pages]; -1 behind a window
  int32_t max_pages = 0, page_size = 0;
  int32_t max_q_len = 0, max_kv_len = 0;  // host values: the largest of each
};

// k_cache[slots[t]] = k[t], v_cache[slots[t]] = v[t], converted to the cache's type: a float type or Q4_0, Q4_1, Q5_0, Q5_1 or Q8_0, whose
// blocks of 32 lie within a head.
struct KvWriteArgs {
  ConstView k, v;         // [T, kv_heads * hd]
  const int32_t* slots;   // [T]
  View k_cache, v_cache;  // [pages * page_size, kv_heads * hd]
};

// Which keys j a query at position p sees: j <= p when causal; |p - j| < window when window > 0; those of the same chunk,
// p / chunk, when chunk > 0 (causal only).
struct AttentionMask {
  bool causal = true;
  int32_t window = 0, chunk = 0;
};
// What is added to the score of the key at j for the query at p by their distance: with the bucket
// b = bucket[clamp(j - p, -reach, reach) + reach] of `buckets`,
//   by_head[b, h]                      one number a bucket and head (T5, MPNet)
//   by_query[row of p, h * buckets + b], by_key[row of j, h * buckets + b]   of packed rows, never of pages (DeBERTa)
// all F32, and each of which may be absent.
struct RelativeScores {
  const int32_t* bucket = nullptr;  // [2 * reach + 1]; null: nothing is added
  int32_t reach = 0, buckets = 0;
  ConstView by_head;           // [buckets, H]
  ConstView by_query, by_key;  // [T, H * buckets]
};
// Score = scale * q·k, then softcap * tanh(score / softcap) when softcap > 0, then + alibi[h] * (j - p) + relative scores;
// probability = exp(score_j) / (Σ exp(score) + exp(sinks[h])).
struct ScoreMod {
  float softcap = 0.f;
  const float* sinks = nullptr;  // [H]
  const float* alibi = nullptr;  // [H]
  RelativeScores relative;
};
struct AttentionArgs {
  ConstView q;     // [T, H * hd]
  ConstView k, v;  // packed rows [T, kv_heads * hd], or the whole caches
  View out;        // [T, H * v_hd]
  SequenceTable seqs;
  int64_t heads = 1, kv_heads = 1;
  float scale = 1.f;
  AttentionMask mask;
  ScoreMod mod;
  float* lse = nullptr;  // [T, H] log-sum-exp, written when not null (needed by the backward)
};

// Multi-head latent attention (DeepSeek 2024): of each token a latent and a rotated part are kept, which all heads share. Head h
// has the rows of `weight` from h * (nope + v) on, K_h of nope rows and V_h of v: its key at j is (K_h latent[j], rope[j]), its
// value V_h latent[j]. Sums are over what is kept, so the result depends on neither the pages nor the step's other rows. A table
// without this row has ops compose it.
struct LatentAttentionArgs {
  ConstView q;             // [T, H * (nope + R)]
  ConstView latent, rope;  // [.., L], [.., R]: packed rows, or the columns of the whole cache
  WeightView weight;       // [H * (nope + v), L]
  View out;                // [T, H * v]
  SequenceTable seqs;
  int64_t heads = 1;
  float scale = 1.f;
  AttentionMask mask;
};
// Each head's own linear map: y_h = x_h W_hᵀ, or x_h W_h when `transposed`. W_h is `rows` rows of weight, from
// h * (weight.rows / heads) + first on; x_h and y_h begin at column h * (cols / heads), and what follows them is left alone.
struct HeadLinearArgs {
  ConstView x;
  WeightView weight;
  View y;
  int64_t heads = 1, first = 0, rows = 0;
  bool transposed = false;
};

// With limit > 0, gate is at most limit and up within ±limit before anything else (GPT-OSS); up_offset is added to up.
struct GateClamp {
  float limit = 0.f, up_offset = 0.f;
};
// y = act(gate) * (up + up_offset); y may be gate or up. Without up: y = act(gate), and no clamp.
struct ActMulArgs {
  ConstView gate, up;
  View y;
  Activation act = Activation::kSilu;
  GateClamp clamp;
};
// y = a * x + b * y (b = 0: y is only written). y may be x. Also converts between activation types.
struct AxpbyArgs {
  ConstView x;
  View y;
  float a = 1.f, b = 0.f;
};
// y = cap * tanh(x / cap); y may be x.
struct SoftcapArgs {
  ConstView x;
  View y;
  float cap = 0.f;
};
// y = x within ±limit; y may be x.
struct ClampArgs {
  ConstView x;
  View y;
  float limit = 0.f;
};
// y = max(0, x - (mean + deviations * standard deviation)), both of the row (Gemma 3n's sparse activations); y may be x.
struct RowCutoffArgs {
  ConstView x;
  View y;
  float deviations = 0.f;
};
// y = x * factors[c], or with `whole` times factors[0].
struct ScaleColumnsArgs {
  ConstView x;
  const float* factors = nullptr;  // [D], or [1]
  bool whole = false;
  View y;
};
// y = x * rms(like) / rms(x), each of the row; the mean square of x is at least eps.
struct MatchRmsArgs {
  ConstView x, like;
  View y;
  float eps = 0.f;
};
// y[t] = 1 + slope * log g, with r = (position[t] + offset) / length and g = 1 + floor(r) in steps, else max(1, r): how
// queries grow with the position (Qwen's log-n attention, Llama 4's temperature).
struct GrowthRule {
  float slope = 0.f, length = 1.f;
  int32_t offset = 0;
  bool steps = false;
};
struct PositionGrowthArgs {
  const int32_t* positions;  // [T]
  GrowthRule rule;
  View y;  // [T, 1] F32
};
// What a convolution of `width` frames reads, with zeros beyond a sequence's ends (one frame on the left): row i of sequence s is
// y[y_start[s] + i, c * width + w] = x[x_start[s] + i * stride + w - 1, c].
struct UnfoldRowsArgs {
  ConstView x;
  const int32_t* x_start;  // [count + 1]
  const int32_t* y_start;  // [count + 1]
  int32_t count = 0, width = 0, stride = 1;
  View y;
};
// y[i] = x[rows[i]].
struct GatherRowsArgs {
  ConstView x;
  const int32_t* rows;
  View y;
};

// --- Mixtures of experts. E = experts, k = experts a row goes through, P = T * k pairs (t, j) of a row and its j-th expert.

// kSoftmax: probabilities over all experts; kSigmoid: each expert's own; kSparseMixer (Phi-3.5 MoE; Liu et al. 2024): the best
// expert, then the best of the others, each weighed by a softmax over the candidates e, those not yet chosen with
// (best - logit[e]) / max(|logit[e]|, best) <= 2 * jitter.
enum class Scoring : uint8_t { kSoftmax, kSigmoid, kSparseMixer };
// How experts are chosen: the top_k of score + bias within the top_groups groups of experts (all in groups of E / groups), a
// group counting by the sum of its `group_best` best. Of equal ones the first is taken. weight = score, divided by the sum of
// the chosen when `normalize`, times scale.
struct RoutingRule {
  Scoring scoring = Scoring::kSoftmax;
  int64_t top_k = 1;
  bool normalize = false;
  float scale = 1.f;
  int64_t groups = 1, top_groups = 1, group_best = 1;
  float jitter = 0.f;
};
// The choice for a step, in the device's memory. Pairs are sorted by expert, those of one expert by row.
struct RoutedRows {
  int32_t* experts;    // [P] of pair t * k + j, the best first
  int32_t* rows;       // [P] the row t of the pair at each position
  int32_t* positions;  // [P] where pair t * k + j lies
  int32_t* offsets;    // [E + 1] expert e has the positions from offsets[e] up to offsets[e + 1]
};
struct RoutingArgs {
  ConstView logits;             // [T, E]
  const float* bias = nullptr;  // [E] or null; decides the choice, not the weight
  RoutingRule rule;
  RoutedRows routed;
  View weights;  // [T, k] F32
};

// One projection of all experts. For each position i, of expert e: y[i] = x[rows[i]] W_eᵀ + b_e; without rows, of x[i].
struct ExpertSegment {
  const WeightView* const* weights;          // [E] each [N, K], in host memory; those of experts without rows may be empty
  const WeightView* const* biases = nullptr; // [E] each [1, N] F32, or null
  View y;                                    // [P, N]
};
struct ExpertLinearArgs {
  ConstView x;  // [T, K], or [P, K] without rows
  const int32_t* rows = nullptr;
  const int32_t* offsets;
  int64_t experts;
  std::span<const ExpertSegment> segments;  // all read the same x
};

// y[t] = Σ_j weights[t, j] * x[positions[t * k + j]], in the order of j; without positions row t * k + j itself.
struct CombineRowsArgs {
  ConstView x;                         // [P, D]
  const int32_t* positions = nullptr;  // [P]
  ConstView weights;                   // [T, k]
  View y;                              // [T, D]
};

// --- Recurrences over the tokens of a sequence. State is F32, one row (a slot) a sequence. Tokens are taken in order, and the
// state after each is what a step that ends there would keep: results do not depend on how a sequence is split into steps.

// Rows [q_start[s], q_start[s + 1]) of the step follow the state in row slots[s], which holds `before[s]` tokens; where that is
// 0 the state is taken as zeros, whatever it holds. slots == null: all sequences begin, and nothing is kept.
struct RecurrentTable {
  int32_t count = 0;
  const int32_t* q_start = nullptr;  // [count + 1]
  const int32_t* slots = nullptr;    // [count]
  const int32_t* before = nullptr;   // [count]
};
// y[t, c] = bias[c] + Σ_j weight[c, j] * x[t - K + 1 + j, c], the sequence's rows before its first being zeros.
struct CausalConvArgs {
  ConstView x;                    // [T, C]
  const float* weight = nullptr;  // [C, K]
  const float* bias = nullptr;    // [C] or null
  int64_t width = 1;              // K
  View y;
  RecurrentTable seqs;
  View state;  // [slots, (K - 1) * C]: the last K - 1 rows, the oldest first
};
// dt = clamp(softplus(x + bias), least, most); log_decay = -exp(a_log) * dt.
struct TimeStepArgs {
  ConstView x;  // [T, H]
  const float *bias = nullptr, *a_log = nullptr;  // [H]
  float least = 0.f, most = 0.f;
  View dt, log_decay;  // F32; dt may be absent
};
// Linear attention with decay (Mamba 2: Dao & Gu 2024) and the gated delta rule (Yang et al. 2025): for each value head a
// matrix S [dk, dv], and for each row in turn
//   S = exp(log_decay) S;  u = factor * (v - Sᵀk), without the delta rule factor * v;  S += k uᵀ;  y = scale * Sᵀq + skip * v
// Value head h goes with key head h / (heads / key_heads).
struct LinearRecurrenceArgs {
  ConstView q, k;                // [T, key_heads * dk]
  ConstView v;                   // [T, heads * dv]
  ConstView log_decay;           // [T, heads] F32
  ConstView factor;              // [T, heads]
  const float* skip = nullptr;   // [heads] or null
  View y;                        // [T, heads * dv]
  int64_t heads = 1, key_heads = 1;
  float scale = 1.f;
  bool delta = false;
  RecurrentTable seqs;
  View state;  // [slots, heads * dk * dv]
};
// The selective scan (Mamba: Gu & Dao 2023): for each column c a vector h [N], and for each row in turn, d = softplus(dt[t, c]),
//   h[n] = exp(-exp(a_log[c, n]) * d) * h[n] + d * b[t, n] * x[t, c];  y[t, c] = Σ_n c[t, n] * h[n] + skip[c] * x[t, c]
struct SelectiveScanArgs {
  ConstView x, dt;  // [T, D]
  ConstView b, c;   // [T, N]
  const float *a_log = nullptr, *skip = nullptr;  // [D, N], [D]
  View y;
  RecurrentTable seqs;
  View state;  // [slots, N * D]: the vectors' first numbers, one a column, then their second …
};
// RWKV 4's average of values (Peng et al. 2023): for each column, with d = -exp(decay), and for each row in turn
//   y = (num + e^(first + k) v) / (den + e^(first + k));  num = e^d num + e^k v;  den = e^d den + e^k
struct WkvArgs {
  ConstView k, v;  // [T, C]
  const float *decay = nullptr, *first = nullptr;  // [C]
  View y;
  RecurrentTable seqs;
  View state;  // [slots, 3 * C]: num and den over e^top, and top, the largest exponent so far
};

// --- Training. Gradients are F32; names ending in _acc are added to ("+=").

// dx_acc += alpha * dy W
struct LinearGradInputArgs {
  ConstView dy;       // [T, N]
  WeightView weight;  // [N, K]
  View dx_acc;        // [T, K]
  float alpha = 1.f;
};
// dw_acc += alpha * dyᵀ x; db_acc += Σ_t dy (either may be absent)
struct LinearGradWeightArgs {
  ConstView dy, x;
  View dw_acc;  // [N, K]
  float* db_acc = nullptr;
  float alpha = 1.f;
};
// Of rms_norm or layer_norm: gradients with respect to s (the normed input), weight and bias.
struct NormGradArgs {
  ConstView s, dy;
  View ds_acc;
  float* dw_acc = nullptr;
  float* db_acc = nullptr;
  const float* weight = nullptr;
  float eps = 1e-6f, weight_offset = 0.f;
  int64_t groups = 1;
  bool whole_weight = false;
};
struct AttentionGradArgs {
  AttentionArgs forward;  // q, k, v as packed rows; out and lse as the forward wrote them
  ConstView dout;
  View dq_acc, dk_acc, dv_acc;
  View by_head_acc, by_query_acc, by_key_acc;  // of the relative scores; absent where they are
  float* dsinks_acc = nullptr;                 // [H]; null without trained sinks
};
struct ActMulGradArgs {
  ConstView gate, up, dy;
  View dgate_acc, dup_acc;  // dup_acc absent without up
  Activation act = Activation::kSilu;
  GateClamp clamp;
};
struct SoftcapGradArgs {
  ConstView y, dy;  // y as the forward wrote it: dx = dy * (1 - (y / cap)²)
  View dx_acc;
  float cap = 0.f;
};
struct ClampGradArgs {
  ConstView x, dy;
  View dx_acc;
  float limit = 0.f;
};
struct RowCutoffGradArgs {
  RowCutoffArgs forward;  // of x and deviations
  ConstView dy;
  View dx_acc;
};
struct ScaleColumnsGradArgs {
  ScaleColumnsArgs forward;
  ConstView dy;
  View dx_acc;              // may be absent
  float* dfactors_acc = nullptr;
};
struct MatchRmsGradArgs {
  MatchRmsArgs forward;  // of x, like and eps
  ConstView dy;
  View dx_acc, dlike_acc;  // either may be absent
};
struct UnfoldRowsGradArgs {
  UnfoldRowsArgs forward;  // of the sequences, width and stride
  ConstView dy;
  View dx_acc;
};
// y_acc[rows[i]] += scale * x[i] unless rows[i] is `skip`: the backward of embedding and gather_rows.
struct ScatterRowsArgs {
  ConstView x;
  const int32_t* rows;
  View y_acc;
  float scale = 1.f;
  int32_t skip = -1;
};
// loss[t] = log Σ exp(logits[t]) - logits[t, label[t]], 0 where the label is -100; dlogits = scale * (softmax - onehot), or
// 0 there; dlogits may be logits.
struct CrossEntropyArgs {
  ConstView logits;       // [T, V]
  const int32_t* labels;  // [T]
  float* loss;            // [T]
  View dlogits;           // absent: loss only
  float scale = 1.f;
};
// Decoupled weight decay (Loshchilov & Hutter 2019), as torch.optim.AdamW; step counts from 1.
struct AdamWArgs {
  float *param, *m, *v;
  const float* grad;
  int64_t size;
  float lr, beta1, beta2, eps, weight_decay;
  int64_t step;
};

// The choice itself is constant: dlogits is what flows through the weights.
struct RoutingGradArgs {
  RoutingArgs forward;
  ConstView dweights;  // [T, k]
  View dlogits_acc;    // [T, E]
};
struct CombineRowsGradArgs {
  CombineRowsArgs forward;
  ConstView dy;
  View dx_acc, dweights_acc;  // either may be absent
};

// Of the recurrences: recurrence_grad.h.
struct CausalConvGradArgs;
struct TimeStepGradArgs;
struct LinearRecurrenceGradArgs;
struct SelectiveScanGradArgs;
struct WkvGradArgs;

struct Kernels {
  const char* name;  // "ref", "avx2", "avx512", "cuda" …
  bool host_memory;  // pointers are the host's: weights are read where the file is mapped

  // Memory of the device; copies are ordered with the stream, and a copy to the host has finished when it returns.
  std::shared_ptr<std::byte> (*allocate)(size_t bytes);
  void (*copy_to_device)(void* dst, const void* src, size_t bytes, Stream&);
  void (*copy_to_host)(void* dst, const void* src, size_t bytes, Stream&);
  void (*copy_on_device)(void* dst, const void* src, size_t bytes, Stream&);
  void (*fill_zero)(void* dst, size_t bytes, Stream&);

  void (*embedding)(const EmbeddingArgs&, Stream&);
  void (*linear)(const LinearArgs&, Stream&);
  void (*rms_norm)(const NormArgs&, Stream&);
  void (*layer_norm)(const NormArgs&, Stream&);
  void (*rope_table)(const RopeTableArgs&, Stream&);
  void (*rope)(const RopeArgs&, Stream&);
  void (*kv_write)(const KvWriteArgs&, Stream&);
  void (*attention)(const AttentionArgs&, Stream&);
  void (*latent_attention)(const LatentAttentionArgs&, Stream&);
  void (*head_linear)(const HeadLinearArgs&, Stream&);
  void (*act_mul)(const ActMulArgs&, Stream&);
  void (*axpby)(const AxpbyArgs&, Stream&);
  void (*softcap)(const SoftcapArgs&, Stream&);
  void (*clamp)(const ClampArgs&, Stream&);
  void (*row_cutoff)(const RowCutoffArgs&, Stream&);
  void (*scale_columns)(const ScaleColumnsArgs&, Stream&);
  void (*match_rms)(const MatchRmsArgs&, Stream&);
  void (*position_growth)(const PositionGrowthArgs&, Stream&);
  void (*unfold_rows)(const UnfoldRowsArgs&, Stream&);
  void (*gather_rows)(const GatherRowsArgs&, Stream&);
  void (*routing)(const RoutingArgs&, Stream&);
  void (*expert_linear)(const ExpertLinearArgs&, Stream&);
  void (*combine_rows)(const CombineRowsArgs&, Stream&);
  void (*causal_conv)(const CausalConvArgs&, Stream&);
  void (*time_step)(const TimeStepArgs&, Stream&);
  void (*linear_recurrence)(const LinearRecurrenceArgs&, Stream&);
  void (*selective_scan)(const SelectiveScanArgs&, Stream&);
  void (*wkv)(const WkvArgs&, Stream&);

  void (*linear_grad_input)(const LinearGradInputArgs&, Stream&);
  void (*linear_grad_weight)(const LinearGradWeightArgs&, Stream&);
  void (*rms_norm_grad)(const NormGradArgs&, Stream&);
  void (*layer_norm_grad)(const NormGradArgs&, Stream&);
  void (*attention_grad)(const AttentionGradArgs&, Stream&);
  void (*act_mul_grad)(const ActMulGradArgs&, Stream&);
  void (*softcap_grad)(const SoftcapGradArgs&, Stream&);
  void (*clamp_grad)(const ClampGradArgs&, Stream&);
  void (*row_cutoff_grad)(const RowCutoffGradArgs&, Stream&);
  void (*scale_columns_grad)(const ScaleColumnsGradArgs&, Stream&);
  void (*match_rms_grad)(const MatchRmsGradArgs&, Stream&);
  void (*unfold_rows_grad)(const UnfoldRowsGradArgs&, Stream&);
  void (*scatter_rows)(const ScatterRowsArgs&, Stream&);
  void (*cross_entropy)(const CrossEntropyArgs&, Stream&);
  void (*adamw)(const AdamWArgs&, Stream&);
  void (*routing_grad)(const RoutingGradArgs&, Stream&);
  void (*combine_rows_grad)(const CombineRowsGradArgs&, Stream&);
  void (*causal_conv_grad)(const CausalConvGradArgs&, Stream&);
  void (*time_step_grad)(const TimeStepGradArgs&, Stream&);
  void (*linear_recurrence_grad)(const LinearRecurrenceGradArgs&, Stream&);
  void (*selective_scan_grad)(const SelectiveScanGradArgs&, Stream&);
  void (*wkv_grad)(const WkvGradArgs&, Stream&);

  // Optional: packs a weight into this table's own layout, read by linear when WeightView::packed is set. pack_bytes gives
  // the size, 0 when this format is best read as stored.
  size_t (*pack_bytes)(const WeightView&);
  void (*pack)(const WeightView&, std::byte* dst, Stream&);
};

// Naive, double accumulation; every row present. The oracle of all tests.
const Kernels& ref_kernels();
// Plain CUDA kernels for inference (no training rows). Error{kUnsupported}: this build has none, or the driver's reason why
// there is no device.
const Kernels& cuda_kernels();
// By name: "auto" (the best CPU table of this machine), "ref", "avx2", "avx512", "amx" …, "cuda"; Error{kUnsupported}
// says what this machine and build have. Rows that a CPU table lacks are filled with ref's.
const Kernels& kernels_by_name(std::string_view name);
// The CPU names that kernels_by_name takes on this machine, best first, ending in "ref".
std::vector<std::string_view> available_kernels();

}  // namespace transom
