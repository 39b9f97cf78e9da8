// Products in AMX tiles (tdpbf16ps: 16 x 32 by 32 x 16 bfloat16 into 16 x 16 float). Many activation rows are the left factor, two tiles of
// them by two of a panel of weight rows, so that each tile loaded is used twice; rows past the last are computed and dropped: the
// activations' memory has room for them (LinearX). For some rows a panel would be transposed in vain: weight rows, as they lie or as they
// were decoded, are the left factor, and the few activations the transposed one. Either way an output's products are
// added in order of columns. The operating system's permission is asked for in base/cpu.cc.
#include "kernels/cpu/panel_bf16.h"

namespace transom::cpu {
namespace TRANSOM_ISA {
namespace {

struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {};
  uint8_t rows[16] = {};
};

struct DenseAmx : PanelBF16 {
  static constexpr int64_t kTile = 32;
  static constexpr int64_t kStride = kPanel * 4;  // bytes from one pair of columns, or one row of sums, to the next

  // Tiles: 0-3 sums, 4-5 activations, 6-7 weights. kBoth: 32 activation rows, else 16; x_stride in bytes.
  template <bool kBoth>
  TRANSOM_INLINE static void multiply(const uint16_t* x, int64_t x_stride, int64_t depth, const uint16_t* panel, float* sums,
                                      bool first) {
    float* lower = sums + 16 * kPanel;
    if (first) {
      _tile_zero(0);
      _tile_zero(1);
      if (kBoth) {
        _tile_zero(2);
        _tile_zero(3);
      }
    } else {
      _tile_loadd(0, sums, kStride);
      _tile_loadd(1, sums + 16, kStride);
      if (kBoth) {
        _tile_loadd(2, lower, kStride);
        _tile_loadd(3, lower + 16, kStride);
      }
    }
    for (int64_t k = 0; k < depth; k += 32) {
      _tile_loadd(6, panel + k * kPanel, kStride);
      _tile_loadd(7, panel + k * kPanel + 32, kStride);
      _tile_loadd(4, x + k, x_stride);
      _tile_dpbf16ps(0, 4, 6);
      _tile_dpbf16ps(1, 4, 7);
      if (kBoth) {
        _tile_loadd(5, x + k + 8 * x_stride, x_stride);  // sixteen rows on
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
      }
    }
    _tile_stored(0, sums, kStride);
    _tile_stored(1, sums + 16, kStride);
    if (kBoth) {
      _tile_stored(2, lower, kStride);
      _tile_stored(3, lower + 16, kStride);
    }
  }
  static void run(const LinearX& x, int64_t t0, int64_t t1, int64_t k0, int64_t depth, const uint16_t* panel, float* sums, Soon) {
    for (int64_t t = t0; t < t1; t += 32) {
      const uint16_t* rows = x.bf16 + t * x.bf16_stride + k0;
      t1 - t > 16 ? multiply<true>(rows, x.bf16_stride * 2, depth, panel, sums + (t - t0) * kPanel, k0 == 0)
                  : multiply<false>(rows, x.bf16_stride * 2, depth, panel, sums + (t - t0) * kPanel, k0 == 0);
    }
  }
};

constexpr int64_t kSomeRows = 32, kLeft = 32;  // weight rows at a time, two tiles
constexpr int64_t kDecoded = PanelBF16::kDecoded, kApart = PanelBF16::kApart;
constexpr size_t kSomeScratch = kLeft * kApart * sizeof(uint16_t) + (kDecoded + 2 * 256 + 16 * kLeft) * sizeof(float);

// Sums of 16 weight rows x 16 activation rows, as stored by a tile, to out[activation row][weight row].
TRANSOM_INLINE void turn(const float* sums, float* out) {
  I v[kLanes];
  for (int i = 0; i < kLanes; ++i) v[i] = load_i(sums + i * 16);
  transpose(v);
  for (int i = 0; i < kLanes; ++i) store_i(out + i * kLeft, v[i]);
}

// Tiles: 0-3 sums (weights 16 i, activations 16 j in 2 j + i), 4-5 weights, 6-7 activations.
template <bool kBoth>
TRANSOM_INLINE void multiply_some(const uint16_t* w, int64_t w_stride, int64_t depth, const uint32_t* x, int64_t x_rows) {
  for (int64_t k = 0; k < depth; k += 32) {
    _tile_loadd(4, w + k, w_stride);
    _tile_loadd(5, w + k + 8 * w_stride, w_stride);  // sixteen rows on
    _tile_loadd(6, x + k / 2 * 16, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 5, 6);
    if (kBoth) {
      _tile_loadd(7, x + (x_rows + k / 2) * 16, 64);
      _tile_dpbf16ps(2, 4, 7);
      _tile_dpbf16ps(3, 5, 7);
    }
  }
}

void gemm_some(const LinearTile& g) {
  const WeightView& w = *g.weight;
  const LinearX& x = *g.x;
  auto* decoded = reinterpret_cast<uint16_t*>(g.scratch);
  float* tmp = reinterpret_cast<float*>(decoded + kLeft * kApart);
  float *sums = tmp + kDecoded, *out = sums + 2 * 256;
  const bool both = x.rows > 16, stored = w.dtype == DType::kBF16 && w.cols % 32 == 0;
  for (int64_t n0 = g.n0; n0 < g.n1; n0 += kLeft) {
    const int64_t count = smaller(kLeft, g.n1 - n0);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t k0 = 0; k0 < w.cols; k0 += kDecoded) {
      const int64_t depth = smaller(kDecoded, w.cols - k0);
      const uint16_t* rows = decoded;
      int64_t stride = kApart * 2;
      if (stored && count == kLeft) {
        rows = reinterpret_cast<const uint16_t*>(w.row(n0)) + k0;
        stride = w.row_bytes;
      } else {
        for (int64_t r = 0; r < count; ++r) decode_bf16(w, n0 + r, k0, depth, tmp, decoded + r * kApart);
      }
      const uint32_t* right = x.tiles + k0 / 2 * 16;
      both ? multiply_some<true>(rows, stride, depth, right, x.padded / 2) : multiply_some<false>(rows, stride, depth, right, 0);
    }
    for (int64_t t0 = 0; t0 < x.rows; t0 += 16) {
      if (t0 == 0) {
        _tile_stored(0, sums, 64);
        _tile_stored(1, sums + 256, 64);
      } else {
        _tile_stored(2, sums, 64);
        _tile_stored(3, sums + 256, 64);
      }
      turn(sums, out);
      turn(sums + 256, out + 16);
      for (int64_t t = t0; t < smaller(t0 + 16, x.rows); ++t) finish_row(g.out, t, n0, count, out + (t - t0) * kLeft);
    }
  }
}

void gemm(const LinearTile& g) {
  if (in_float(g)) return avx512_primitives().gemm(g);
  TileConfig config;
  for (int i = 0; i < 8; ++i) config.row_bytes[i] = 64, config.rows[i] = 16;
  _tile_loadconfig(&config);
  g.x->tiles && g.x->rows <= kSomeRows ? gemm_some(g) : gemm_panel<DenseAmx>(g);
  _tile_release();
}

// Six rows have one order on every table; sixteen cost here no more than one.
int64_t few_rows(DType) { return 6; }
Form gemm_form(DType weight, DType x, int64_t rows) {
  const Form form = bf16_form(weight, x);
  return form == Form::kBF16 && rows <= kSomeRows ? Form::kTiles : form;
}

int64_t panels(DType t, int64_t cols) {
  return t != DType::kF32 && t != DType::kF64 ? panels_at_once<DenseAmx>(cols) : avx512_primitives().panels(t, cols);
}
size_t linear_scratch(int64_t cols) {
  const size_t panels = gemm_scratch<DenseAmx>(cols), floats = avx512_primitives().linear_scratch(cols), most = panels > floats ? panels : floats;
  return most > kSomeScratch ? most : kSomeScratch;
}

}  // namespace
}  // namespace TRANSOM_ISA

void add_amx(Primitives& p) {
  p.few_rows = TRANSOM_ISA::few_rows;
  p.gemm_form = TRANSOM_ISA::gemm_form;
  p.gemm = TRANSOM_ISA::gemm;
  p.panels = TRANSOM_ISA::panels;
  p.linear_scratch = TRANSOM_ISA::linear_scratch;
}

}  // namespace transom::cpu
