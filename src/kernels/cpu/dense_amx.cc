// Products in AMX tiles (tdpbf16ps: 16 x 32 by 32 x 16 bfloat16 into 16 x 16 float), two tiles of the one factor by two of the other, so that
// each tile loaded is used twice. Weight rows, as they lie or as they were decoded, are the left factor, and activations the right one, in the
// order of tiles that a call brings them into once (Form::kTiles). An output's products are added in order of columns. The operating system's
// permission is asked for in base/cpu.cc.
#include "kernels/cpu/panel_bf16.h"

namespace transom::cpu {
namespace TRANSOM_ISA {
namespace {

// Eight tiles of sixteen rows of 64 bytes. A constant: GCC 12 believes that loading it reads its first eight bytes only.
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
constexpr TileConfig kEightTiles;

// Weight rows are the left factor, kLeft at a time, two tiles; kDeep columns at most are decoded at a time, rows apart from one another in
// the caches.
constexpr int64_t kLeft = 32, kDeep = 2048;
// Weight rows that lie decoded in the second-level cache (of 2 MiB) while all activations pass by, which come from the third level.
constexpr int64_t kLeftBytes = 1 << 20;

int64_t left_stride(int64_t cols) { return smaller((cols + 31) / 32 * 32, kDeep) + 32; }
int64_t lefts_at_once(int64_t cols) { return larger(1, kLeftBytes / (kLeft * left_stride(cols) * 2)); }
// Scratch: decoded rows, a row of floats, sums of kLeft x 32 (of a block of activations, if they are added up in several steps), their transposed.
constexpr int64_t kSums = kLeft * 32;
int64_t sums_at_once(int64_t cols) { return cols > kDeep ? lefts_at_once(cols) * (kTokenBlock / 32) : 1; }
size_t tiles_scratch(int64_t cols) {
  return static_cast<size_t>(lefts_at_once(cols) * kLeft * left_stride(cols)) * 2 + static_cast<size_t>(kDeep + (sums_at_once(cols) + 1) * kSums) * 4;
}

// Weight rows [n, n + count), columns [k0, k0 + depth), as bfloat16 at `to`; the same columns of the rows after them are fetched.
void decode_left(const WeightView& w, int64_t n, int64_t count, int64_t k0, int64_t depth, float* tmp, uint16_t* to, int64_t stride) {
  const int64_t begin = k0 * w.row_bytes / w.cols, bytes = depth * w.row_bytes / w.cols;
  for (int64_t r = 0; r < count; ++r) {
    const std::byte* soon = w.data + (n + r + kLeft) * w.row_bytes + begin;
    for (int64_t b = 0; b < bytes; b += 64) _mm_prefetch(reinterpret_cast<const char*>(soon + b), _MM_HINT_T1);
    if (w.dtype == DType::kBF16 && depth % 32 == 0) memcpy(to + r * stride, w.row(n + r) + 2 * k0, static_cast<size_t>(2 * depth));
    else decode_bf16(w, n + r, k0, depth, tmp, to + r * stride);
  }
}

// Sums of 16 weight rows x 16 activation rows, as stored by a tile, to out[activation row][weight row].
TRANSOM_INLINE void turn(const float* sums, float* out) {
  I v[kLanes];
  for (int i = 0; i < kLanes; ++i) v[i] = load_i(sums + i * 16);
  transpose(v);
  for (int i = 0; i < kLanes; ++i) store_i(out + i * kLeft, v[i]);
}

struct Scratch {
  explicit Scratch(const LinearTile& g)
      : decoded(reinterpret_cast<uint16_t*>(g.scratch)),
        tmp(reinterpret_cast<float*>(decoded + lefts_at_once(g.weight->cols) * kLeft * left_stride(g.weight->cols))),
        sums(tmp + kDeep), out(sums + sums_at_once(g.weight->cols) * kSums) {}
  uint16_t* decoded;
  float *tmp, *sums, *out;
};

// Tiles: 0-3 sums (weights 16 i, activations 16 j in 2 j + i), 4-5 weights, 6-7 activations.
TRANSOM_INLINE void zero_sums() {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}
TRANSOM_INLINE void load_sums(const float* sums) {
  _tile_loadd(0, sums, 64);
  _tile_loadd(1, sums + 256, 64);
  _tile_loadd(2, sums + 512, 64);
  _tile_loadd(3, sums + 768, 64);
}
TRANSOM_INLINE void store_sums(float* sums) {
  _tile_stored(0, sums, 64);
  _tile_stored(1, sums + 256, 64);
  _tile_stored(2, sums + 512, 64);
  _tile_stored(3, sums + 768, 64);
}
// second: how far after the first sixteen activations the next ones lie, in pairs of columns; 0: there are none.
TRANSOM_INLINE void multiply(const uint16_t* w, int64_t w_stride, int64_t depth, const uint32_t* x, int64_t second) {
  if (second == 0) {
    for (int64_t k = 0; k < depth; k += 32) {
      _tile_loadd(4, w + k, w_stride);
      _tile_loadd(5, w + k + 8 * w_stride, w_stride);  // sixteen rows on
      _tile_loadd(6, x + k / 2 * 16, 64);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 5, 6);
    }
    return;
  }
  for (int64_t k = 0; k < depth; k += 32) {
    _tile_loadd(4, w + k, w_stride);
    _tile_loadd(6, x + k / 2 * 16, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(5, w + k + 8 * w_stride, w_stride);
    _tile_dpbf16ps(1, 5, 6);
    _tile_loadd(7, x + (second + k / 2) * 16, 64);
    _tile_dpbf16ps(2, 4, 7);
    _tile_dpbf16ps(3, 5, 7);
  }
}

// Activation rows [t0, t1), at most 32, of weight rows [n, n + count); out: 16 x kLeft floats of scratch.
TRANSOM_INLINE void finish(const LinearTile& g, int64_t t0, int64_t t1, int64_t n, int64_t count, const float* sums, float* out) {
  for (int64_t t = t0; t < t1; t += 16, sums += 512) {
    turn(sums, out);
    turn(sums + 256, out + 16);
    for (int64_t i = 0; i < smaller(16, t1 - t); ++i) finish_row(g.out, g.t0 + t + i, n, count, out + i * kLeft);
  }
}

// Up to 32 activation rows: their sums stay in the tiles while kLeft weight rows are decoded piece by piece, or read where they lie.
void gemm_some(const LinearTile& g) {
  constexpr int64_t kPiece = 512;
  const WeightView& w = *g.weight;
  const LinearX& x = *g.x;
  const int64_t rows = g.t1 - g.t0;
  const uint32_t* tiles = x.tiles + g.group * x.padded * 8;
  const Scratch s(g);
  const bool stored = w.dtype == DType::kBF16 && w.cols % 32 == 0;
  for (int64_t n = g.n0; n < g.n1; n += kLeft) {
    const int64_t count = smaller(kLeft, g.n1 - n);
    const bool in_place = stored && count == kLeft;
    for (int64_t k0 = 0; k0 < w.cols; k0 += kPiece) {
      const int64_t depth = smaller(kPiece, w.cols - k0);
      if (!in_place) decode_left(w, n, count, k0, depth, s.tmp, s.decoded, kPiece + 32);
      const auto* left = in_place ? reinterpret_cast<const uint16_t*>(w.row(n)) + k0 : s.decoded;
      if (k0 == 0) zero_sums();
      multiply(left, in_place ? w.row_bytes : 2 * (kPiece + 32), depth, tiles + k0 / 2 * 16, rows > 16 ? x.padded / 2 : 0);
    }
    store_sums(s.sums);
    finish(g, 0, rows, n, count, s.sums, s.out);
  }
}

// More of them: as many weight rows as stay in the second-level cache are decoded once and meet all activations, 32 by 32. Beyond kDeep columns
// the sums of a block of activations stay in scratch.
void gemm_many(const LinearTile& g) {
  const WeightView& w = *g.weight;
  const LinearX& x = *g.x;
  const int64_t rows = g.t1 - g.t0;
  const uint32_t* tiles = x.tiles + g.group * x.padded * 8;
  const Scratch s(g);
  const int64_t most = lefts_at_once(w.cols) * kLeft, stride = left_stride(w.cols), block = w.cols > kDeep ? kTokenBlock : rows;
  for (int64_t n0 = g.n0; n0 < g.n1; n0 += most) {
    const int64_t n1 = smaller(n0 + most, g.n1);
    for (int64_t b0 = 0; b0 < rows; b0 += block) {
      const int64_t b1 = smaller(b0 + block, rows);
      for (int64_t k0 = 0; k0 < w.cols; k0 += kDeep) {
        const int64_t depth = smaller(kDeep, w.cols - k0);
        decode_left(w, n0, n1 - n0, k0, depth, s.tmp, s.decoded, stride);
        float* sums = s.sums;
        for (int64_t t = b0; t < b1; t += 32)
          for (int64_t n = n0; n < n1; n += kLeft) {
            k0 == 0 ? zero_sums() : load_sums(sums);
            multiply(s.decoded + (n - n0) * stride, 2 * stride, depth, tiles + (t / 16 * x.padded + k0) / 2 * 16, b1 - t > 16 ? x.padded / 2 : 0);
            store_sums(sums);
            if (k0 + depth == w.cols) finish(g, t, smaller(t + 32, b1), n, smaller(kLeft, n1 - n), sums, s.out);
            if (w.cols > kDeep) sums += kSums;
          }
      }
    }
  }
}

void gemm(const LinearTile& g) {
  if (in_float(g)) return avx512_primitives().gemm(g);
  _tile_loadconfig(&kEightTiles);
  g.t1 - g.t0 <= 32 ? gemm_some(g) : gemm_many(g);
  _tile_release();
}

// Pairs of columns of sixteen rows side by side.
void prepare_group(const LinearX& x, int64_t group, const RowList& rows, int64_t begin, int64_t end) {
  uint32_t* to = x.tiles + group * x.padded * 8;
  for (int64_t c = begin; c < end; c += 32) {
    const int64_t left = x.cols - c;
    I m[kLanes];
    for (int64_t r = 0; r < kLanes; ++r) {
      const In in = in_row(rows.x, rows[smaller(r, rows.count - 1)]);
      const auto part = [&](int64_t at) { return left > at ? load(in, c + at, smaller(kLanes, left - at)) : zero(); };
      m[r] = bf16_pair(part(0), part(kLanes));
    }
    transpose(m);
    for (int64_t j = 0; j < kLanes; ++j) store_i(to + (c / 2 + j) * 16, m[j]);
  }
}

Form gemm_form(DType weight, DType x) { return bf16_form(weight, x) == Form::kBF16 ? Form::kTiles : Form::kF32; }

int64_t panels(DType t, int64_t cols) {
  return t != DType::kF32 && t != DType::kF64 ? lefts_at_once(cols) : avx512_primitives().panels(t, cols);
}
size_t linear_scratch(int64_t cols) {
  return larger(tiles_scratch(cols), avx512_primitives().linear_scratch(cols));
}

}  // namespace
}  // namespace TRANSOM_ISA

void add_amx(Primitives& p) {
  p.gemm_form = TRANSOM_ISA::gemm_form;
  p.group_rows = 16;
  p.prepare_group = TRANSOM_ISA::prepare_group;
  p.gemm = TRANSOM_ISA::gemm;
  p.panels = TRANSOM_ISA::panels;
  p.linear_scratch = TRANSOM_ISA::linear_scratch;
}

}  // namespace transom::cpu
