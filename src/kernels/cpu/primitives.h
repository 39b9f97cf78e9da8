// What one instruction set provides to the CPU tables: plain functions over ranges of rows, without threads or errors.
// tables.cc turns a set of these into a Kernels table (cutting the work among the team's threads). The files that are
// compiled once per instruction set (see CMakeLists.txt) may define nothing that the linker could merge with another
// set's copy: no inline function of external linkage, no std template. A test checks their symbols.
#pragma once

#include "kernels/kernels.h"

namespace transom::cpu {

// How a linear kernel reads activations.
//   kF32   as float
//   kBF16  as bfloat16
//   kQ16…  as 16-bit integers in blocks of 32: x = d[block] * q, in one of two orders (formats.h). Dot products with a
//          block of quantized weights are then exact integer sums. (8-bit activations cost a small model a KL divergence
//          of 3e-3 to 4e-3; 16 bits cost next to nothing.)
//   kTiles as bfloat16, pairs of columns of sixteen rows side by side: what an AMX tile of columns is
//   kQ8    signed bytes with one scale a block of 32, twelve rows side by side, for products of many rows with blocks of quantized weights. What a
//          block's largest element has more than the others is kept apart, which divides the KL divergence that bytes cost by five.
enum class Form : uint8_t { kF32, kBF16, kTiles, kQ8, kQ16Quad, kQ16Pair };

// The activations of one linear call, [rows, cols], in the forms that its segments read; the others are null. Rows are
// padded with zeros to `padded` columns, a multiple of 128; a row of f32 starts every f32_stride elements, one of bf16 every bf16_stride.
// Rows of bf16 are read kTileRows at a time: its memory goes on that far, with rows whose values do not matter.
constexpr int64_t kTileRows = 16, kQ16Bytes = 3, kQ8Rows = 12, kQ8Block = 800;
struct LinearX {
  int64_t rows, cols, padded;
  float* f32;
  int64_t f32_stride;
  uint16_t* bf16;
  int64_t bf16_stride;
  uint32_t* tiles;       // [rows / 16][padded / 2][16], a pair each; what belongs to rows past the last does not matter
  std::byte* q8;         // [rows / kQ8Rows][padded / 32] blocks of kQ8Block bytes: see dense_q8.cc
  std::byte* q16[2];     // quad and pair order, kQ16Bytes an element: words, and sums of them
  float *d, *s32, *s16;  // of q16: scale of each 32; d * sum of q over each 32 and each 16
};

constexpr int64_t kAttentionRows = 256;     // rows of one call
constexpr int64_t kFewAttentionRows = 8;    // a sequence that has no more of one kv head may be summed in another order
constexpr int64_t kFewHeads = 8;            // kv heads of a call of few rows
constexpr int64_t kAttentionSegment = 512;  // keys whose sums are formed together; a row's segments are merged in order

struct LinearOut {
  View y;
  const float* bias;
  float alpha, beta;
};

// Weight rows [n0, n1) times activation rows [t0, t1).
struct LinearTile {
  const LinearX* x;
  const WeightView* weight;
  LinearOut out;
  int64_t n0, n1, t0, t1;
  std::byte* scratch;  // the thread's own
  int64_t group = 0;   // of row t0, in a form of rows side by side
};

// Rows first, first + 1 … of x, or those whose numbers are rows[first], rows[first + 1] …
struct RowList {
  ConstView x;
  const int32_t* rows;
  int64_t first, count;

  int64_t operator[](int64_t i) const { return rows ? rows[first + i] : first + i; }
};

// Rows [r0, r0 + rows) of sequence s's (position, head) pairs of each of the kv heads [kv, kv + kvs), ordered by position, then by head
// within the group.
struct AttentionTile {
  int32_t s;
  int64_t kv, kvs, r0, rows;
  bool few;  // the sequence has at most kFewAttentionRows, and the order of summation may depend on it; else kvs is 1
};

constexpr int64_t kMostLanes = 16;  // floats of the widest vector

struct Primitives {
  // Rows [begin, end).
  void (*norm)(const NormArgs&, bool centred, int64_t begin, int64_t end);
  void (*rope_table)(const RopeTableArgs&, int64_t begin, int64_t end);
  void (*rope)(const RopeArgs&, int64_t begin, int64_t end);
  // One row, columns [begin, end).
  void (*act_mul)(const ActMulArgs&, int64_t row, int64_t begin, int64_t end);
  void (*axpby)(const AxpbyArgs&, int64_t row, int64_t begin, int64_t end);
  void (*softcap)(const SoftcapArgs&, int64_t row, int64_t begin, int64_t end);
  void (*clamp)(const ClampArgs&, int64_t row, int64_t begin, int64_t end);
  void (*time_step)(const TimeStepArgs&, int64_t row, int64_t begin, int64_t end);
  // All rows of sequence s, columns [begin, end). Floats of scratch: 2 * width * kMostLanes; 2 * N * (kMostLanes + 1).
  void (*causal_conv)(const CausalConvArgs&, int32_t s, int64_t begin, int64_t end, float* scratch);
  void (*selective_scan)(const SelectiveScanArgs&, int32_t s, int64_t begin, int64_t end, float* scratch);
  void (*wkv)(const WkvArgs&, int32_t s, int64_t begin, int64_t end);
  // All rows of sequence s and recurrence_columns() columns of head h from `first` on; scratch: dk rows of them, and 2 * dk.
  int64_t (*recurrence_columns)();
  void (*linear_recurrence)(const LinearRecurrenceArgs&, int32_t s, int64_t h, int64_t first, float* scratch);
  // dst[i] = scale * src[i], converted.
  void (*convert)(DType to, void* dst, DType from, const void* src, int64_t n, float scale);
  // As transom::decode_row, to within rounding.
  void (*decode)(const WeightView& w, int64_t row, int64_t begin, float* dst, int64_t n);

  // Fills row t of the forms that are not null (f32: only if it is not x itself), but for those of rows side by side (tiles, q8): of these,
  // a group of up to group_rows rows and columns [begin, end), multiples of 32. Null where there are none.
  void (*prepare_x)(const LinearX&, const ConstView& x, int64_t t);
  int64_t group_rows;
  void (*prepare_group)(const LinearX&, int64_t group, const RowList&, int64_t begin, int64_t end);
  // Few activation rows: reads each weight row once per kGemvRows of them, as stored. Any weight type.
  Form (*gemv_form)(DType);
  int64_t (*few_rows)(DType);  // up to how many it is the faster one
  void (*gemv)(const LinearTile&);
  // Many: unpacks panels of `panel` weight rows into scratch, panels(type, cols) of them at most, and takes all activation rows through
  // them. n0 is a multiple of `panel`.
  int64_t panel;
  int64_t (*panels)(DType, int64_t cols);
  Form (*gemm_form)(DType weight, DType x);
  void (*gemm)(const LinearTile&);
  size_t (*linear_scratch)(int64_t cols);  // bytes of LinearTile::scratch

  // attention() does all of a tile; attention_part() the keys of one segment, leaving sums in `out`, and attention_merge() turns the
  // parts of segments 0 .. segments - 1 into the result.
  void (*attention)(const AttentionArgs&, const AttentionTile&, std::byte* scratch);
  void (*attention_part)(const AttentionArgs&, const AttentionTile&, int64_t segment, float* out, std::byte* scratch);
  void (*attention_merge)(const AttentionArgs&, const AttentionTile&, int64_t segments, const float* parts, std::byte* scratch);
  size_t (*attention_scratch)(const AttentionArgs&);       // bytes, of one thread
  int64_t (*attention_part_floats)(const AttentionArgs&);  // of one part
};

// The sets, and what further instructions add to one.
const Primitives& avx2_primitives();
const Primitives& avx512_primitives();
void add_avx512bf16(Primitives&);
void add_amx(Primitives&);

}  // namespace transom::cpu
