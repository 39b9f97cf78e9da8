// The AMX kernels with their tile instructions replaced by plain loops, so that their logic is tested where no processor has tiles: all but
// speed, and the rounding within one product of tiles. Instructions: Intel's manual, TDPBF16PS and TILELOADD.
#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace transom::test {
namespace {

struct Tiles {
  struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
  } config;
  float tile[8][16][16];  // or pairs of bfloat16

  void load(int t, const void* base, int64_t stride) {
    for (int r = 0; r < config.rows[t]; ++r) std::memcpy(tile[t][r], static_cast<const char*>(base) + r * stride, config.row_bytes[t]);
  }
  void stored(int t, void* base, int64_t stride) const {
    for (int r = 0; r < config.rows[t]; ++r) std::memcpy(static_cast<char*>(base) + r * stride, tile[t][r], config.row_bytes[t]);
  }
  static float part(float pair, int i) {
    uint32_t bits;
    std::memcpy(&bits, &pair, 4);
    bits = i ? bits & 0xffff0000u : bits << 16;
    std::memcpy(&pair, &bits, 4);
    return pair;
  }
  void multiply(int c, int a, int b) {
    for (int m = 0; m < 16; ++m)
      for (int k = 0; k < 16; ++k)
        for (int n = 0; n < 16; ++n)
          for (int i = 0; i < 2; ++i) tile[c][m][n] += part(tile[a][m][k], i) * part(tile[b][k][n], i);
  }
};
thread_local Tiles tiles;

}  // namespace
}  // namespace transom::test

#undef _tile_loadd
#undef _tile_stored
#undef _tile_zero
#undef _tile_dpbf16ps
#define _tile_loadconfig(p) std::memcpy(&transom::test::tiles.config, p, 64)
#define _tile_release() std::memset(&transom::test::tiles.config, 0, 64)
#define _tile_loadd(t, p, stride) transom::test::tiles.load(t, p, stride)
#define _tile_stored(t, p, stride) transom::test::tiles.stored(t, p, stride)
#define _tile_zero(t) std::memset(transom::test::tiles.tile[t], 0, 1024)
#define _tile_dpbf16ps(c, a, b) transom::test::tiles.multiply(c, a, b)
#define add_amx add_amx_emulated
#include "kernels/cpu/dense_amx.cc"
