// Products of quantized weights with activations of 8 bits (vpdpbusd: four products of bytes a lane), for more rows than the kernel of few takes.
// Panels of 16 weight rows are unpacked to bytes, code + 128, [block of 32 columns][4 columns][row][4], beside their scales; activations come in
// groups of twelve rows, [block][row][32], quantized in blocks of 32 with a scale each (Form::kQ8). A block's sum of products is an exact integer;
// it is scaled and added in float, block after block, whatever is computed beside it. Outliers: transformers have channels a hundred times larger
// than the others, which in one block with 31 of them would leave these few steps. An element more than twice as large as its block's others does
// not set the block's scale: it is cut off at 127, and the rest of it is multiplied in float.
#include "kernels/cpu/expand.h"
#include "kernels/cpu/isa.h"
#include "kernels/cpu/panel.h"

namespace transom::cpu::TRANSOM_ISA {
namespace {

constexpr int64_t kRows = 16;      // of a panel
constexpr int64_t kSome = 48;      // up to so many activation rows each panel is used at once; more meet all panels of a call
constexpr int64_t kCodes = 8 * 64;  // bytes of a panel's block, before its scales

// 32 columns of twelve activation rows. [2]: of the whole block; before it, of its halves.
struct XBlock {
  int8_t q[kQ8Rows][32];
  float d[kQ8Rows];
  int32_t start[3][kQ8Rows];  // -128 times the sum of q: what a sum of products with code + 128 begins with
  float sum[3][kQ8Rows];      // of the activations as they are here
  // What is left of an activation that is far larger than its block's others: it would take their steps from them.
  int32_t outliers, unused;
  float rest[kQ8Rows];
  int8_t row[kQ8Rows], column[kQ8Rows];
};
constexpr float kOutlier = 2;  // times the others' largest
static_assert(sizeof(XBlock) == kQ8Block);

template <class Fmt>
constexpr int scaled() {
  if constexpr (Fmt::kElements == 32) return 32;
  else return Fmt::kScaled;
}
template <class Fmt>
struct Layout {
  static constexpr int kScales = 32 / scaled<Fmt>();  // of a block and row
  static constexpr int64_t kBytes = kCodes + 64 * kScales * (Fmt::kMin ? 2 : 1);
};
constexpr int64_t kMostBytes = kCodes + 64 * 4;

// Four blocks of a row, and their scales and minimums, on the lanes where at_scale and at_min say.
struct FourBlocks {
  Group codes;
  I scales;
};
template <class Fmt>
constexpr int at_scale(int i) { return Layout<Fmt>::kScales == 1 ? 4 * i : i; }
template <class Fmt>
constexpr int at_min(int i) { return Layout<Fmt>::kScales == 1 ? 4 * i + 1 : i + 8; }
TRANSOM_INLINE I beside(F scale, F min) { return _mm512_castps_si512(_mm512_mask_mov_ps(scale, 0x2222, min)); }

// Group g of a row, of which `blocks` are there.
template <class Fmt>
TRANSOM_INLINE FourBlocks load_group(Bytes row, int64_t g, int blocks) {
  if constexpr (Fmt::kElements == 32) {
    const Bytes p = row + g * kGroupBlocks * Fmt::kBytes;
    const typename Fmt::RawGroup raw = blocks == kGroupBlocks ? typename Fmt::RawGroup(p) : typename Fmt::RawGroup(p, blocks);
    if constexpr (Fmt::kOrder == Order::kPair) {
      const I index = _mm512_set_epi32(3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0);
      return {Fmt::quants(raw), _mm512_castps_si512(_mm512_permutexvar_ps(index, _mm512_castps128_ps512(Fmt::scales(raw))))};
    } else {
      return {Fmt::quants(raw), beside(Fmt::scale(raw), Fmt::kMin ? Fmt::min(raw) : zero())};
    }
  } else {
    constexpr int kOf = kGroupBlocks * Layout<Fmt>::kScales;
    const Bytes p = row + g / 2 * Fmt::kBytes;
    const int64_t half = g % 2;
    alignas(64) float s[16], m[16] = {};
    Fmt::scales(p, s, m);
    const Group codes = Fmt::quants(p, static_cast<int>(half) * kGroupBlocks);
    if constexpr (kOf == 4) return {codes, beside(per_block(s + half * kOf), per_block(m + half * kOf))};
    else return {codes, join(load32(reinterpret_cast<Bytes>(s + half * kOf)), load32(reinterpret_cast<Bytes>(m + half * kOf)))};
  }
}

// Weight rows [n, n + count), all columns.
template <class Fmt>
void unpack(const WeightView& w, int64_t n, int64_t count, std::byte* panel) {
  using L = Layout<Fmt>;
  const I up = set1_i8(static_cast<char>(128 - Fmt::kBias));
  const int64_t blocks = w.cols / 32;
  for (int64_t b = 0; b < blocks; b += kGroupBlocks) {
    const int here = static_cast<int>(smaller(kGroupBlocks, blocks - b));
    std::byte* to = panel + b * L::kBytes;
    I first[kRows], second[kRows], scales[kRows];
    for (int64_t r = 0; r < kRows; ++r) {
      const FourBlocks four = load_group<Fmt>(reinterpret_cast<Bytes>(w.row(n + smaller(r, count - 1))), b / kGroupBlocks, here);
      first[r] = _mm512_add_epi8(four.codes.first, up);
      second[r] = _mm512_add_epi8(four.codes.second, up);
      scales[r] = four.scales;
    }
    transpose(scales);
    for (int i = 0; i < here * L::kScales; ++i) {
      std::byte* at = to + i / L::kScales * L::kBytes + kCodes + i % L::kScales * 64;
      store_i(at, scales[at_scale<Fmt>(i)]);
      if (Fmt::kMin) store_i(at + L::kScales * 64, scales[at_min<Fmt>(i)]);
    }
    transpose(first);
    transpose(second);
    for (int j = 0; j < kLanes; ++j) {
      const bool quad = Fmt::kOrder == Order::kQuad;
      const int block = quad ? j / 4 : j / 8 * 2, step = quad ? j % 4 : j % 8;
      if (block < here) store_i(to + block * L::kBytes + 64 * step, first[j]);
      if (block + !quad < here) store_i(to + (block + !quad) * L::kBytes + 64 * (step + (quad ? 4 : 0)), second[j]);
    }
  }
}

// What is read next, fetched evenly.
struct Fetch {
  const char* at = nullptr;
  int64_t bytes = 0;  // for each block
};

// Adds what a block's outliers have left to late[row].
template <class Fmt>
[[gnu::noinline]] void add_outliers(const XBlock& x, const std::byte* panel, float (*late)[kRows]) {
  for (int i = 0; i < x.outliers; ++i) {
    const int c = x.column[i];
    const I codes = _mm512_and_si512(_mm512_srlv_epi32(load_i(panel + c / 4 * 64), set1_i32(c % 4 * 8)), set1_i32(255));
    const F scale = loadu(reinterpret_cast<const float*>(panel + kCodes) + c / scaled<Fmt>() * kRows);
    float* to = late[x.row[i]];
    storeu(to, fma((to_float(codes) - set1(128)) * scale, set1(x.rest[i]), loadu(to)));
  }
}

// Sums of M activation rows with 16 weight rows.
template <class Fmt, int M>
TRANSOM_INLINE void multiply(const XBlock* x, int64_t blocks, const std::byte* panel, Fetch fetch, F (&acc)[M], float (*late)[kRows]) {
  using L = Layout<Fmt>;
  constexpr int kSteps = 8 / L::kScales;
  for (F& a : acc) a = zero();
  for (int64_t b = 0; b < blocks; ++b, ++x, panel += L::kBytes) {
    for (int64_t i = 0; i < fetch.bytes; i += 64) _mm_prefetch(fetch.at + i, _MM_HINT_T1);
    fetch.at += fetch.bytes;
    if (x->outliers) [[unlikely]] add_outliers<Fmt>(*x, panel, late);
    for (int h = 0; h < L::kScales; ++h) {
      constexpr int kWhole = L::kScales == 1 ? 2 : 0;
      I dot[M];
      for (int i = 0; i < M; ++i) dot[i] = set1_i32(x->start[h + kWhole][i]);
      for (int step = h * kSteps; step < (h + 1) * kSteps; ++step) {
        const I w = load_i(panel + 64 * step);
        for (int i = 0; i < M; ++i) {
          int32_t four;
          memcpy(&four, x->q[i] + 4 * step, 4);
          dot[i] = _mm512_dpbusd_epi32(dot[i], w, set1_i32(four));
        }
      }
      const float* scales = reinterpret_cast<const float*>(panel + kCodes) + h * kRows;
      const F s = loadu(scales);
      for (int i = 0; i < M; ++i) acc[i] = fma(to_float(dot[i]), s * set1(x->d[i]), acc[i]);
      if (!Fmt::kMin) continue;
      const F m = loadu(scales + L::kScales * kRows);
      for (int i = 0; i < M; ++i) acc[i] = fma(m, set1(x->sum[h + kWhole][i]), acc[i]);
    }
  }
}
template <class Fmt, int M>
TRANSOM_INLINE void run(const LinearTile& g, const XBlock* x, int64_t t, int64_t rows, const std::byte* panel, int64_t n, Fetch fetch) {
  F acc[M];
  float sums[kQ8Rows][kRows];
  for (auto& late : sums) storeu(late, zero());
  multiply<Fmt, M>(x, g.weight->cols / 32, panel, fetch, acc, sums);
  for (int i = 0; i < M; ++i) storeu(sums[i], acc[i] + loadu(sums[i]));
  for (int64_t i = 0; i < rows; ++i) finish_row(g.out, g.t0 + t + i, n, smaller(kRows, g.n1 - n), sums[i]);
}

template <class Fmt>
void gemm_format(const LinearTile& g) {
  const WeightView& w = *g.weight;
  const int64_t blocks = w.cols / 32, size = blocks * Layout<Fmt>::kBytes, rows = g.t1 - g.t0;
  const int64_t most = rows <= kSome ? 1 : larger(1, kPanelBytes / size);
  const int64_t group = g.x->padded / 32;
  const auto* x = reinterpret_cast<const XBlock*>(g.x->q8) + g.group * group;
  for (int64_t n0 = g.n0; n0 < g.n1; n0 += most * kRows) {
    const int64_t n1 = smaller(n0 + most * kRows, g.n1);
    for (int64_t n = n0; n < n1; n += kRows) unpack<Fmt>(w, n, smaller(kRows, n1 - n), g.scratch + (n - n0) / kRows * size);
    for (int64_t t = 0; t < rows; t += kQ8Rows)
      for (int64_t n = n0; n < n1; n += kRows) {
        const std::byte* panel = g.scratch + (n - n0) / kRows * size;
        const int64_t here = smaller(kQ8Rows, rows - t);
        const bool last = n + kRows >= w.rows;
        const Fetch fetch = {reinterpret_cast<const char*>(w.data + (n + kRows) * w.row_bytes), most > 1 || t > 0 || last ? 0 : kRows * w.row_bytes / blocks};
        const XBlock* from = x + t / kQ8Rows * group;
        if (here > 8) run<Fmt, 12>(g, from, t, here, panel, n, fetch);
        else if (here > 4) run<Fmt, 8>(g, from, t, here, panel, n, fetch);
        else run<Fmt, 4>(g, from, t, here, panel, n, fetch);
      }
  }
}

// Row r of a block: 32 activations.
TRANSOM_INLINE void quantize(F low, F high, int64_t r, XBlock& to) {
  const F low_size = abs(low), high_size = abs(high);
  const auto equal = [](F size, float to) { return uint32_t{_mm512_cmp_ps_mask(size, set1(to), _CMP_EQ_OQ)}; };
  const auto largest_of = [&](uint32_t which) {
    return largest(max(_mm512_maskz_mov_ps(static_cast<__mmask16>(which), low_size), _mm512_maskz_mov_ps(static_cast<__mmask16>(which >> 16), high_size)));
  };
  float most = largest_of(~0u);
  const uint32_t top = equal(low_size, most) | equal(high_size, most) << 16;
  const float next = largest_of(top & (top - 1) ? ~0u : ~top);
  const bool outlier = most > kOutlier * next && next > 0;
  if (outlier) most = next;
  const F inverse = set1(most > 0 ? 127.f / most : 0.f);
  const auto rounded = [&](F v) { return _mm512_max_epi32(_mm512_min_epi32(to_int(v * inverse), set1_i32(127)), set1_i32(-127)); };
  const I q0 = rounded(low), q1 = rounded(high);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to.q[r]), _mm512_cvtepi32_epi8(q0));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to.q[r] + 16), _mm512_cvtepi32_epi8(q1));
  // What is no number stays none: bytes would hide it.
  const bool broken = _mm512_cmp_ps_mask(low, low, _CMP_UNORD_Q) | _mm512_cmp_ps_mask(high, high, _CMP_UNORD_Q);
  const float d = broken ? __builtin_nanf("") : most * (1.f / 127.f);
  to.d[r] = d;
  const int32_t half[2] = {_mm512_reduce_add_epi32(q0), _mm512_reduce_add_epi32(q1)}, sums[3] = {half[0], half[1], half[0] + half[1]};
  for (int i = 0; i < 3; ++i) to.start[i][r] = -128 * sums[i], to.sum[i][r] = d * static_cast<float>(sums[i]);
  if (!outlier) return;
  const int c = __builtin_ctz(top), n = to.outliers++;
  float values[32];
  storeu(values, low);
  storeu(values + 16, high);
  to.rest[n] = values[c] - d * static_cast<float>(to.q[r][c]);
  to.row[n] = static_cast<int8_t>(r), to.column[n] = static_cast<int8_t>(c);
  to.sum[c / 16][r] += to.rest[n], to.sum[2][r] += to.rest[n];
}

void prepare_group(const LinearX& x, int64_t group, const RowList& rows, int64_t begin, int64_t end) {
  auto* blocks = reinterpret_cast<XBlock*>(x.q8) + group * (x.padded / 32);
  for (int64_t b = begin / 32; b < end / 32; ++b) {
    blocks[b].outliers = 0;
    for (int64_t r = 0; r < kQ8Rows; ++r) {
      const int64_t left = r < rows.count ? x.cols - 32 * b : 0;
      const In in = in_row(rows.x, rows[smaller(r, rows.count - 1)]);
      const auto part = [&](int64_t at) { return left > at ? load(in, 32 * b + at, smaller(kLanes, left - at)) : zero(); };
      quantize(part(0), part(kLanes), r, blocks[b]);
    }
  }
}

bool takes(DType t) {
  return with_format(t, [](auto) {});
}
void gemm(const LinearTile& g) {
  if (!g.x->q8 || !with_format(g.weight->dtype, [&](auto f) { gemm_format<decltype(f)>(g); })) gemm_f32(g);
}
int64_t panels(DType t, int64_t cols) {
  return takes(t) ? larger(1, kPanelBytes / (larger(1, cols / 32) * kMostBytes * kPanel / kRows)) : gemm_f32_panels(t, cols);
}
size_t linear_scratch(int64_t cols) {
  const size_t most = static_cast<size_t>(larger(kPanelBytes, cols / 32 * kMostBytes)), gemv = gemv_scratch(cols), floats = gemm_f32_scratch(cols);
  return larger(larger(gemv, floats), most);
}

}  // namespace

void add_q8(Primitives& p) {
  p.few_rows = [](DType) { return int64_t{6}; };  // so many have one order on every table
  p.panels = panels;
  p.gemm_form = [](DType t, DType) { return takes(t) ? Form::kQ8 : Form::kF32; };
  p.gemm = gemm;
  p.linear_scratch = linear_scratch;
  p.group_rows = kQ8Rows;
  p.prepare_group = prepare_group;
}

}  // namespace transom::cpu::TRANSOM_ISA
