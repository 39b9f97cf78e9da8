// Products in bfloat16 (vdpbf16ps), for weights of any type but F32, decoded to bfloat16 a panel, or some rows, at a time.
#include "kernels/cpu/isa.h"
#include "kernels/cpu/panel_bf16.h"

namespace transom::cpu {
namespace TRANSOM_ISA {
namespace {

struct DenseBF16 : PanelBF16 {
  static constexpr int64_t kTile = 12;
  template <int M>
  TRANSOM_INLINE static void multiply(const LinearX& x, int64_t t, int64_t k0, int64_t depth, const uint16_t* panel, F (&acc)[M][2], Soon soon) {
    const uint16_t* rows[M];
    for (int i = 0; i < M; ++i) rows[i] = x.bf16 + (t + i) * x.bf16_stride + k0;
    const uint16_t* ahead = x.bf16 + soon.t * x.bf16_stride + k0;
    for (int64_t k = 0; k < depth; k += 2) {
      if (k % 32 == 0)
        for (int64_t r = 0; r < soon.rows; ++r) _mm_prefetch(reinterpret_cast<const char*>(ahead + r * x.bf16_stride + k), _MM_HINT_T0);
      const I w0 = load_i(panel + k * kPanel), w1 = load_i(panel + k * kPanel + 2 * kLanes);
      for (int i = 0; i < M; ++i) {
        int32_t pair;
        memcpy(&pair, rows[i] + k, 4);
        const I v = set1_i32(pair);
        acc[i][0] = dot_pairs(acc[i][0], v, w0);
        acc[i][1] = dot_pairs(acc[i][1], v, w1);
      }
    }
  }
  static void run(const LinearX& x, int64_t t0, int64_t t1, int64_t k0, int64_t depth, const uint16_t* panel, float* sums, Soon soon) {
    multiply_tiles<DenseBF16, kTile>(x, t0, t1, k0, depth, panel, sums, soon);
  }
};

// Some activation rows: too many for the kernel of few, too few to be worth transposing weights for. Four weight rows at a time, decoded if
// they are not bfloat16, meet four activation rows; each product is summed across a vector at its end. The rows of a block are read as four
// streams; while the first activation rows meet four weight rows, the next four are fetched.
constexpr int64_t kSomeRows = 48;
constexpr int kStreams = 4;

// The next four rows, fetched evenly over `steps` steps of the arithmetic: a core has room for some twenty lines under way, and a burst
// of prefetches would keep what is needed now waiting.
class Ahead {
 public:
  Ahead(int64_t bytes, int64_t steps) : bytes_(bytes), lines_(kStreams * ((bytes + 63) / 64)), steps_(steps) {}
  void enter(const std::byte* const (&rows)[kStreams]) {
    for (int r = 0; r < kStreams; ++r) rows_[r] = rows[r];
    row_ = 0, at_ = 0, due_ = 0;
  }
  TRANSOM_INLINE void step() {
    for (due_ += lines_; due_ >= steps_; due_ -= steps_) {
      _mm_prefetch(reinterpret_cast<const char*>(rows_[row_] + at_), _MM_HINT_T1);
      at_ += 64;
      if (at_ >= bytes_) at_ = 0, row_ = (row_ + 1) % kStreams;
    }
  }

 private:
  const int64_t bytes_, lines_, steps_;
  const std::byte* rows_[kStreams] = {};
  int64_t row_ = 0, at_ = 0, due_ = 0;
};

template <int T>
TRANSOM_INLINE void dot_some(const std::byte* const (&w)[kStreams], int64_t cols, const LinearX& x, int64_t t0, Ahead& ahead, float* out, int64_t stride,
                             int64_t each) {
  F acc[kLanes];
  for (F& a : acc) a = zero();
  const uint16_t* rows[T];
  for (int t = 0; t < T; ++t) rows[t] = x.bf16 + (t0 + t) * x.bf16_stride;
  int64_t k = 0;
  for (; k + 32 <= cols; k += 32) {
    I v[kStreams];
    for (int r = 0; r < kStreams; ++r) v[r] = load_i(w[r] + 2 * k);
    ahead.step();
    for (int t = 0; t < T; ++t) {
      const I xv = load_i(rows[t] + k);
      for (int r = 0; r < kStreams; ++r) acc[t * kStreams + r] = dot_pairs(acc[t * kStreams + r], v[r], xv);
    }
  }
  if (k < cols)
    for (int t = 0; t < T; ++t)
      for (int r = 0; r < kStreams; ++r) acc[t * kStreams + r] = dot_pairs(acc[t * kStreams + r], load_pairs(w[r], k, cols), load_i(rows[t] + k));
  alignas(64) float sums[kLanes];
  storeu(sums, sum_each(acc));
  for (int t = 0; t < T; ++t)
    for (int r = 0; r < kStreams; ++r) out[(t0 + t) * stride + r * each] = sums[t * kStreams + r];
}

// Columns from one decoded row to the next: not the same sets of the first-level cache.
int64_t decoded_distance(int64_t cols) { return (cols + 31) / 32 * 32 + 32; }
size_t some_scratch(int64_t cols) {
  return static_cast<size_t>(decoded_distance(cols)) * kStreams * sizeof(uint16_t) + static_cast<size_t>(cols + 32) * sizeof(float);
}

void gemm_some(const LinearTile& g) {
  const WeightView& w = *g.weight;
  const bool stored = w.dtype == DType::kBF16;
  const int64_t padded = (w.cols + 31) / 32 * 32, distance = decoded_distance(w.cols);
  auto* decoded = reinterpret_cast<uint16_t*>(g.scratch);
  float* tmp = reinterpret_cast<float*>(decoded + kStreams * distance);
  LinearX x = *g.x;
  x.bf16 += g.t0 * x.bf16_stride;
  const int64_t rows = g.t1 - g.t0;
  Ahead ahead(w.row_bytes, (rows + 3) / 4 * larger(1, w.cols / 32));
  for (int64_t n0 = g.n0; n0 < g.n1; n0 += kOutRows) {
    const int64_t count = smaller(kOutRows, g.n1 - n0), each = (count + kStreams - 1) / kStreams;
    float out[kSomeRows][kOutRows + kStreams];  // the last stream may end before the others
    for (int64_t i = 0; i < each; ++i) {
      const std::byte *row[kStreams], *next[kStreams];
      for (int r = 0; r < kStreams; ++r) {
        const int64_t n = n0 + smaller(r * each + i, count - 1);
        row[r] = stored ? w.data + n * w.row_bytes : reinterpret_cast<const std::byte*>(decoded + r * distance);
        next[r] = w.data + (i + 1 < each ? smaller(n + 1, g.n1 - 1) : smaller(n0 + count + r * each, g.n1 - 1)) * w.row_bytes;
        if (!stored) decode_bf16(w, n, 0, w.cols, tmp, decoded + r * distance);
      }
      ahead.enter(next);
      by_fours(0, rows, [&](int64_t t, auto n) {
        dot_some<decltype(n)::value>(row, stored ? w.cols : padded, x, t, ahead, out[0] + i, kOutRows + kStreams, each);
      });
    }
    for (int64_t t = 0; t < rows; ++t) finish_row(g.out, g.t0 + t, n0, count, out[t]);
  }
}

bool takes_bytes(DType weight) { return avx512_primitives().gemm_form(weight, DType::kF32) == Form::kQ8; }
void gemm(const LinearTile& g) {
  if (in_float(g) || takes_bytes(g.weight->dtype)) return avx512_primitives().gemm(g);
  g.t1 - g.t0 <= kSomeRows ? gemm_some(g) : gemm_panel<DenseBF16>(g);
}

Form gemm_form(DType weight, DType x) { return takes_bytes(weight) ? Form::kQ8 : bf16_form(weight, x); }

int64_t panels(DType t, int64_t cols) {
  return t != DType::kF32 && t != DType::kF64 && !takes_bytes(t) ? panels_at_once<DenseBF16>(cols) : avx512_primitives().panels(t, cols);
}
size_t linear_scratch(int64_t cols) {
  const size_t panels = gemm_scratch<DenseBF16>(cols), some = some_scratch(cols), floats = avx512_primitives().linear_scratch(cols);
  return floats > panels ? (floats > some ? floats : some) : panels > some ? panels : some;
}

}  // namespace
}  // namespace TRANSOM_ISA

void add_avx512bf16(Primitives& p) {
  p.gemm_form = TRANSOM_ISA::gemm_form;
  p.gemm = TRANSOM_ISA::gemm;
  p.panels = TRANSOM_ISA::panels;
  p.linear_scratch = TRANSOM_ISA::linear_scratch;
  p.attention = TRANSOM_ISA::attention;
  p.attention_part = TRANSOM_ISA::attention_part;
}

}  // namespace transom::cpu
