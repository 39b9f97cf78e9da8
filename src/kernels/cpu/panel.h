// The loop nest of the blocked matrix product, shared by the element types: for each panel of kPanel weight rows, for each
// kDepth columns, unpack once and multiply with all activation rows. Sums stay in float in scratch between the column
// blocks, so that an output's order of summation does not depend on what is computed beside it.
#pragma once

#include "kernels/cpu/finish.h"

namespace transom::cpu::TRANSOM_ISA {
namespace {

constexpr int64_t kPanel = 2 * kLanes;
constexpr int64_t kTokenBlock = 512;  // activation rows whose sums a thread's scratch holds

// A square of kLanes x kLanes 32-bit elements.
TRANSOM_INLINE void transpose(I (&v)[kLanes]) {
  I a[kLanes], b[kLanes];
#if defined(__AVX512F__)
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
    a[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
  }
  for (int i = 0; i < 16; i += 4)
    for (int j = 0; j < 2; ++j) {
      b[i + 2 * j] = _mm512_unpacklo_epi64(a[i + j], a[i + j + 2]);
      b[i + 2 * j + 1] = _mm512_unpackhi_epi64(a[i + j], a[i + j + 2]);
    }
  // b[4g + c] holds, in each quarter q, column 4q + c of rows 4g .. 4g + 3.
  for (int c = 0; c < 4; ++c) {
    const I even01 = _mm512_shuffle_i32x4(b[c], b[4 + c], 0x88), odd01 = _mm512_shuffle_i32x4(b[c], b[4 + c], 0xdd);
    const I even23 = _mm512_shuffle_i32x4(b[8 + c], b[12 + c], 0x88), odd23 = _mm512_shuffle_i32x4(b[8 + c], b[12 + c], 0xdd);
    v[c] = _mm512_shuffle_i32x4(even01, even23, 0x88);
    v[8 + c] = _mm512_shuffle_i32x4(even01, even23, 0xdd);
    v[4 + c] = _mm512_shuffle_i32x4(odd01, odd23, 0x88);
    v[12 + c] = _mm512_shuffle_i32x4(odd01, odd23, 0xdd);
  }
#else
  for (int i = 0; i < 8; i += 2) {
    a[i] = _mm256_unpacklo_epi32(v[i], v[i + 1]);
    a[i + 1] = _mm256_unpackhi_epi32(v[i], v[i + 1]);
  }
  for (int i = 0; i < 8; i += 4)
    for (int j = 0; j < 2; ++j) {
      b[i + 2 * j] = _mm256_unpacklo_epi64(a[i + j], a[i + j + 2]);
      b[i + 2 * j + 1] = _mm256_unpackhi_epi64(a[i + j], a[i + j + 2]);
    }
  for (int c = 0; c < 4; ++c) {
    v[c] = _mm256_permute2x128_si256(b[c], b[4 + c], 0x20);
    v[4 + c] = _mm256_permute2x128_si256(b[c], b[4 + c], 0x31);
  }
#endif
}

// A call's panels lie side by side in scratch: as many as stay in the second-level cache while all activation rows pass by.
constexpr int64_t kPanelBytes = 640 << 10;
template <class Type>
int64_t panels_at_once(int64_t cols) {
  const int64_t bytes = kPanel * smaller(cols, Type::kDepth) * static_cast<int64_t>(sizeof(typename Type::Element));
  return larger(1, kPanelBytes / larger(bytes, 1));
}
// Scratch: panels, rows being decoded, sums.
template <class Type>
size_t gemm_scratch(int64_t cols) {
  const int64_t depth = smaller((cols + 31) / 32 * 32, Type::kDepth), panels = panels_at_once<Type>(cols);
  return static_cast<size_t>(panels * kPanel * depth) * sizeof(typename Type::Element) +
         static_cast<size_t>(Type::kRowFloats + kPanel * (cols > Type::kDepth ? panels * kTokenBlock : Type::kTile)) * sizeof(float);
}

// Rows of activations that are needed soon: a tile's share of what the next tile reads.
struct Soon {
  int64_t t = 0, rows = 0;
};

// sums[t - t0] += x[t, k0 .. k0 + depth) · panel for rows [t0, t1), Tile::multiply<M> at a time; k0 = 0 starts from zero.
template <class Tile, int M>
TRANSOM_INLINE int64_t multiply_rows(const LinearX& x, int64_t t, int64_t t1, int64_t k0, int64_t depth,
                                     const typename Tile::Element* panel, float* sums, Soon soon) {
  for (; t + M <= t1; t += M, sums += M * kPanel) {
    F acc[M][2];
    for (int i = 0; i < M; ++i) {
      acc[i][0] = k0 ? loadu(sums + i * kPanel) : zero();
      acc[i][1] = k0 ? loadu(sums + i * kPanel + kLanes) : zero();
    }
    Tile::template multiply<M>(x, t, k0, depth, panel, acc, soon);
    for (int i = 0; i < M; ++i) {
      storeu(sums + i * kPanel, acc[i][0]);
      storeu(sums + i * kPanel + kLanes, acc[i][1]);
    }
  }
  return t;
}
template <class Tile, int M>
void multiply_tiles(const LinearX& x, int64_t t0, int64_t t1, int64_t k0, int64_t depth, const typename Tile::Element* panel,
                    float* sums, Soon soon) {
  int64_t t = multiply_rows<Tile, M>(x, t0, t1, k0, depth, panel, sums, soon);
  t = multiply_rows<Tile, 4>(x, t, t1, k0, depth, panel, sums + (t - t0) * kPanel, {});
  multiply_rows<Tile, 1>(x, t, t1, k0, depth, panel, sums + (t - t0) * kPanel, {});
}

// Type: kDepth and kTile (columns of a panel, rows of a tile), Element, unpack(weight, n, count, k0, depth, rows, panel) with kRowFloats of
// scratch at `rows`, run(x, t0, t1, k0, depth, panel, sums, soon). A tile's activation rows meet all panels of the call. Up to kDepth columns they
// are finished at once; beyond, the sums of a block of rows stay in scratch from one kDepth columns to the next.
template <class Type>
void gemm_panel(const LinearTile& g) {
  using Element = typename Type::Element;
  const int64_t cols = g.weight->cols, padded = (cols + 31) / 32 * 32, most = panels_at_once<Type>(cols);
  const bool whole = cols <= Type::kDepth;
  const int64_t size = kPanel * smaller(padded, Type::kDepth), block = whole ? g.t1 - g.t0 : kTokenBlock;
  Element* panels = reinterpret_cast<Element*>(g.scratch);
  float* rows = reinterpret_cast<float*>(panels + most * size);
  float* sums = rows + Type::kRowFloats;
  for (int64_t n0 = g.n0; n0 < g.n1; n0 += most * kPanel) {
    const int64_t count = smaller(most * kPanel, g.n1 - n0), here = (count + kPanel - 1) / kPanel;
    const auto width = [&](int64_t panel) { return smaller(kPanel, count - panel * kPanel); };
    for (int64_t b0 = g.t0; b0 < g.t1; b0 += block) {
      const int64_t b1 = smaller(b0 + block, g.t1);
      for (int64_t k0 = 0; k0 < cols; k0 += Type::kDepth) {
        const int64_t depth = smaller(Type::kDepth, cols - k0);
        for (int64_t i = 0; i < here; ++i) Type::unpack(*g.weight, n0 + i * kPanel, width(i), k0, depth, rows, panels + i * size);
        for (int64_t t0 = b0; t0 < b1; t0 += Type::kTile) {
          const int64_t t1 = smaller(t0 + Type::kTile, b1), next = smaller(Type::kTile, b1 - t1);
          for (int64_t i = 0; i < here; ++i) {
            float* to = whole ? sums : sums + (i * kTokenBlock + t0 - b0) * kPanel;
            const Soon soon{t1 + next * i / here, next * (i + 1) / here - next * i / here};
            Type::run(*g.x, t0, t1, k0, depth, panels + i * size, to, soon);
            if (k0 + depth < cols) continue;
            for (int64_t t = t0; t < t1; ++t) finish_row(g.out, t, n0 + i * kPanel, width(i), to + (t - t0) * kPanel);
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace transom::cpu::TRANSOM_ISA
