// Linear layers in float: decoding of any stored row to float, the product of few activation rows with F32, F16 and BF16
// weights as stored (other types are decoded a row at a time), and the blocked product of many rows.
#include "kernels/cpu/expand.h"
#include "kernels/cpu/finish.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/panel.h"
#include "tensor/quant.h"

namespace transom::cpu::TRANSOM_ISA {
namespace {

constexpr int kAhead = 1024;  // bytes from what is read to what is fetched

bool is_plain_float(DType t) { return t == DType::kF32 || t == DType::kF16 || t == DType::kBF16; }

// The products of R weight rows with T activation rows, each as two partial sums over alternate vectors.
template <int R, int T>
TRANSOM_INLINE void dot_float(const In (&w)[R], const float* const* x, int64_t cols, F (&sums)[T][R]) {
  F acc[R][T][2];
  for (int r = 0; r < R; ++r)
    for (int t = 0; t < T; ++t) acc[r][t][0] = acc[r][t][1] = zero();
  int64_t k = 0;
  for (; k + 2 * kLanes <= cols; k += 2 * kLanes) {
    for (int r = 0; r < R; ++r) {
      const auto* p = static_cast<const char*>(w[r].p) + k * (w[r].type == DType::kF32 ? 4 : 2) + kAhead;
      _mm_prefetch(p, _MM_HINT_T0);
      if (kWide && w[r].type == DType::kF32) _mm_prefetch(p + 64, _MM_HINT_T0);
    }
    for (int half = 0; half < 2; ++half)
      for (int r = 0; r < R; ++r) {
        const F v = load(w[r], k + half * kLanes);
        for (int t = 0; t < T; ++t) acc[r][t][half] = fma(v, loadu(x[t] + k + half * kLanes), acc[r][t][half]);
      }
  }
  for (; k < cols; k += kLanes)
    for (int r = 0; r < R; ++r) {
      const F v = load(w[r], k, smaller(kLanes, cols - k));
      for (int t = 0; t < T; ++t) acc[r][t][0] = fma(v, loadu(x[t] + k), acc[r][t][0]);
    }
  for (int t = 0; t < T; ++t)
    for (int r = 0; r < R; ++r) sums[t][r] = acc[r][t][0] + acc[r][t][1];
}

// `type` is a constant in each call, so that the loads in the loop have no branch.
template <DType kType>
void gemv_type(const LinearTile& g) {
  constexpr int64_t kBlock = 256;  // weight rows whose sums are collected before they are written
  const WeightView& w = *g.weight;
  for (int64_t n0 = g.n0; n0 < g.n1; n0 += kBlock) {
    const int64_t count = smaller(kBlock, g.n1 - n0);
    by_fours(g.t0, g.t1, [&](int64_t t0, auto rows) {
      // The block is read as R streams of rows one after the other: short rows side by side would be as many streams that end at once.
      constexpr int T = decltype(rows)::value, R = T == 1 ? 4 : kWide || T == 2 ? 2 : 1;
      const int64_t each = (count + R - 1) / R;
      const float* x[T];
      for (int t = 0; t < T; ++t) x[t] = g.x->f32 + (t0 + t) * g.x->f32_stride;
      float out[T][kBlock];
      for (int64_t i = 0; i < each; ++i) {
        In row[R];
        for (int r = 0; r < R; ++r) row[r] = {w.data + (n0 + smaller(r * each + i, count - 1)) * w.row_bytes, kType};
        F sums[T][R];
        dot_float(row, x, w.cols, sums);
        for (int t = 0; t < T; ++t) {
          float four[4];
          _mm_storeu_ps(four, sum4(sums[t][0], sums[t][1 % R], sums[t][2 % R], sums[t][3 % R]));
          for (int r = 0; r < R && r * each + i < count; ++r) out[t][r * each + i] = four[r];
        }
      }
      for (int t = 0; t < T; ++t) finish_row(g.out, t0 + t, n0, count, out[t]);
    });
  }
}

// Weights of other types: a row is decoded into scratch.
void gemv_decoded(const LinearTile& g) {
  const WeightView& w = *g.weight;
  float* decoded = reinterpret_cast<float*>(g.scratch);
  const In row[1] = {{decoded, DType::kF32}};
  for (int64_t n = g.n0; n < g.n1; ++n) {
    decode(w, n, 0, decoded, w.cols);
    by_fours(g.t0, g.t1, [&](int64_t t0, auto rows) {
      constexpr int T = decltype(rows)::value;
      const float* x[T];
      for (int t = 0; t < T; ++t) x[t] = g.x->f32 + (t0 + t) * g.x->f32_stride;
      F sums[T][1];
      dot_float(row, x, w.cols, sums);
      for (int t = 0; t < T; ++t) {
        const float total = sum(sums[t][0]);
        finish_row(g.out, t0 + t, n, 1, &total);
      }
    });
  }
}

// The blocked product: a panel is kPanel weight rows by kDepth columns, transposed to [column][row].
struct DenseF32 {
  static constexpr int64_t kDepth = 4096, kTile = kWide ? 12 : 6, kRowFloats = kLanes * kDepth;
  using Element = float;
  static void unpack(const WeightView& w, int64_t n, int64_t count, int64_t k0, int64_t depth, float* rows, float* panel) {
    for (int64_t half = 0; half < 2; ++half) {
      for (int64_t r = 0; r < kLanes; ++r) {
        float* row = rows + r * kDepth;
        const int64_t i = half * kLanes + r;
        if (i < count)
          decode(w, n + i, k0, row, depth);
        else
          memset(row, 0, static_cast<size_t>(depth) * sizeof(float));
      }
      for (int64_t k = 0; k < depth; k += kLanes) {
        I v[kLanes];
        for (int r = 0; r < kLanes; ++r) v[r] = load_i(rows + r * kDepth + k);  // past depth: kDepth is a multiple of kLanes
        transpose(v);
        for (int64_t j = 0; j < smaller(kLanes, depth - k); ++j) store_i(panel + (k + j) * kPanel + half * kLanes, v[j]);
      }
    }
  }
  template <int M>
  TRANSOM_INLINE static void multiply(const LinearX& x, int64_t t, int64_t k0, int64_t depth, const float* panel, F (&acc)[M][2], Soon) {
    const float* rows[M];
    for (int i = 0; i < M; ++i) rows[i] = x.f32 + (t + i) * x.f32_stride + k0;
    for (int64_t k = 0; k < depth; ++k) {
      const F w0 = loadu(panel + k * kPanel), w1 = loadu(panel + k * kPanel + kLanes);
      for (int i = 0; i < M; ++i) {
        const F v = set1(rows[i][k]);
        acc[i][0] = fma(v, w0, acc[i][0]);
        acc[i][1] = fma(v, w1, acc[i][1]);
      }
    }
  }
  static void run(const LinearX& x, int64_t t0, int64_t t1, int64_t k0, int64_t depth, const float* panel, float* sums, Soon soon) {
    multiply_tiles<DenseF32, kTile>(x, t0, t1, k0, depth, panel, sums, soon);
  }
};

}  // namespace

void decode(const WeightView& w, int64_t row, int64_t begin, float* dst, int64_t n) {
  if (w.dtype == DType::kCoded) return decode_row(w, row, begin, dst, n);
  const std::byte* src = w.data + row * w.row_bytes + row_bytes(w.dtype, begin);
  if (is_plain_float(w.dtype)) return convert(DType::kF32, dst, w.dtype, src, n, 1.f);
  const auto put = [dst](int64_t i, F a, F b) {
    storeu(dst + i, a);
    storeu(dst + i + kLanes, b);
  };
  if (!with_format(w.dtype, [&](auto f) { expand_format<decltype(f)>(reinterpret_cast<Bytes>(src), n, put); })) decode_row(w, row, begin, dst, n);
}

void gemv_float(const LinearTile& g) {
  if (g.weight->dtype == DType::kBF16) return gemv_type<DType::kBF16>(g);
  if (g.weight->dtype == DType::kF16) return gemv_type<DType::kF16>(g);
  if (g.weight->dtype == DType::kF32) return gemv_type<DType::kF32>(g);
  gemv_decoded(g);
}
size_t gemv_scratch(int64_t cols) { return static_cast<size_t>(cols + 64) * sizeof(float); }

void gemm_f32(const LinearTile& g) { gemm_panel<DenseF32>(g); }
size_t gemm_f32_scratch(int64_t cols) { return gemm_scratch<DenseF32>(cols); }
int64_t gemm_f32_panels(DType, int64_t cols) { return panels_at_once<DenseF32>(cols); }

}  // namespace transom::cpu::TRANSOM_ISA
