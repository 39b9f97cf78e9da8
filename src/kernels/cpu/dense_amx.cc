// The blocked product in AMX tiles (tdpbf16ps: 16 x 32 by 32 x 16 bfloat16 into 16 x 16 float): two tiles of activation
// rows by two of weight rows, so that each tile loaded is used twice. Rows past the last are computed and dropped: the
// activations' memory has room for them (LinearX). The operating system's permission is asked for in base/cpu.cc.
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

void gemm(const LinearTile& g) {
  if (bf16_form(g.weight->dtype) != Form::kBF16) return avx512_primitives().gemm(g);
  TileConfig config;
  for (int i = 0; i < 8; ++i) config.row_bytes[i] = 64, config.rows[i] = 16;
  _tile_loadconfig(&config);
  gemm_panel<DenseAmx>(g);
  _tile_release();
}

// Sixteen rows cost no more than one, and unpacking as much as seven rows of blocks as stored. Six rows have one order on every table.
int64_t few_rows(DType t) { return is_quantized(t) ? 7 : 6; }

int64_t panels(DType t, int64_t cols) {
  return bf16_form(t) == Form::kBF16 ? panels_at_once<DenseAmx>(cols) : avx512_primitives().panels(t, cols);
}
size_t linear_scratch(int64_t cols) {
  return static_cast<size_t>(larger(static_cast<int64_t>(avx512_primitives().linear_scratch(cols)), gemm_scratch<DenseAmx>(cols)));
}

}  // namespace
}  // namespace TRANSOM_ISA

void add_amx(Primitives& p) {
  p.few_rows = TRANSOM_ISA::few_rows;
  p.gemm_form = TRANSOM_ISA::bf16_form;
  p.gemm = TRANSOM_ISA::gemm;
  p.panels = TRANSOM_ISA::panels;
  p.linear_scratch = TRANSOM_ISA::linear_scratch;
}

}  // namespace transom::cpu
