// Sharing a linear call among the team's threads. All segments are one list of weight rows. Few activation rows: each
// thread takes a contiguous range of equal bytes, and prepares the activations for itself (cheaper than a barrier). Many:
// the activations are prepared together, and threads take panels of weight rows as they become free.
#include "kernels/cpu/linear.h"

#include <algorithm>
#include <atomic>

#include "base/error.h"
#include "base/threads.h"

namespace transom::cpu {
namespace {

LinearTile tile_of(const LinearArgs& a, const LinearSegment& g, const LinearX& x, std::byte* scratch) {
  return {.x = &x, .weight = &g.weight, .out = {g.y, g.bias, a.alpha, a.beta}, .n0 = 0, .n1 = g.weight.rows, .t0 = 0,
          .t1 = x.rows, .scratch = scratch};
}

// The weight row of segment g where the share of all bytes before `at` ends; `before` = bytes of earlier segments.
int64_t border(const LinearSegment& g, int64_t before, int64_t at) {
  if (at <= before) return 0;
  const int64_t row = (at - before) / std::max<int64_t>(g.weight.row_bytes, 1);
  return row >= g.weight.rows ? g.weight.rows : row / 8 * 8;
}

// Which kernel a segment's products go through depends on it alone, not on the segments beside it.
struct Few {
  const Primitives* p;
  int64_t rows;
  bool one_order;

  bool operator()(const LinearSegment& g) const { return one_order || rows <= p->few_rows(g.weight.dtype); }
};

// `total`: bytes of the segments that have few rows.
void run_few(const Primitives& p, const LinearArgs& a, Few few, const LinearX& x, int64_t total, int rank, int size, std::byte* scratch) {
  const int64_t first = total * rank / size, last = total * (rank + 1) / size;
  int64_t before = 0;
  for (const LinearSegment& g : a.segments) {
    if (!few(g)) continue;
    LinearTile tile = tile_of(a, g, x, scratch);
    tile.n0 = border(g, before, first);
    tile.n1 = rank + 1 == size ? g.weight.rows : border(g, before, last);
    if (tile.n0 < tile.n1) p.gemv(tile);
    before += g.weight.rows * g.weight.row_bytes;
  }
}

void run_many(const Primitives& p, const LinearArgs& a, Few few, const LinearX& x, std::atomic<int64_t>& next, int size, std::byte* scratch) {
  int64_t panels = 0;
  const auto panels_of = [&](const LinearSegment& g) { return few(g) ? 0 : (g.weight.rows + p.panel - 1) / p.panel; };
  for (const LinearSegment& g : a.segments) panels += panels_of(g);
  for (int64_t i = next.load(std::memory_order_relaxed); i < panels;) {
    int64_t first = i;  // within the segment
    const LinearSegment* g = a.segments.data();
    for (; first >= panels_of(*g); ++g) first -= panels_of(*g);
    // Fewer as the work runs out, so that all threads end together.
    const int64_t share = std::max<int64_t>(1, (panels - i) / (2 * size));
    const int64_t count = std::min({share, p.panels(g->weight.dtype, a.x.cols), panels_of(*g) - first});
    if (!next.compare_exchange_weak(i, i + count, std::memory_order_relaxed)) continue;
    LinearTile tile = tile_of(a, *g, x, scratch);
    tile.n0 = first * p.panel;
    tile.n1 = std::min(tile.n0 + count * p.panel, g->weight.rows);
    p.gemm(tile);
    i = next.load(std::memory_order_relaxed);
  }
}

void check(const LinearArgs& a) {
  for (const LinearSegment& g : a.segments)
    CHECK(g.weight.cols == a.x.cols && g.y.rows == a.x.rows && g.y.cols == g.weight.rows);
}

}  // namespace

void run_linear(const Primitives& p, const LinearArgs& a, Stream& s, bool one_order) {
  check(a);
  const int64_t T = a.x.rows;
  if (T == 0 || a.x.cols == 0) CHECK(T == 0);
  if (T == 0) return;
  const Few few{&p, T, one_order};
  Forms forms;
  int64_t bytes = 0, few_bytes = 0;
  for (const LinearSegment& g : a.segments) {
    forms.add(few(g) ? p.gemv_form(g.weight.dtype) : p.gemm_form(g.weight.dtype));
    bytes += g.weight.rows * g.weight.row_bytes;
    if (few(g)) few_bytes += g.weight.rows * g.weight.row_bytes;
  }
  LinearX x;
  const int64_t form_bytes = forms.place(x, a.x, nullptr), own_bytes = align(static_cast<int64_t>(p.linear_scratch(a.x.cols)));
  const bool alone = T * bytes < kAloneBytes || s.team->size() == 1, each = T <= 4;
  const int copies = alone ? 1 : s.team->size();
  std::byte* memory = s.scratch(static_cast<size_t>((each ? copies : 1) * form_bytes + copies * own_bytes));
  std::atomic<int64_t> next{0};
  const auto task = [&](int rank, int size) {
    std::byte* own = memory + rank * own_bytes;
    LinearX mine;
    forms.place(mine, a.x, memory + copies * own_bytes + (each ? rank : 0) * form_bytes);
    const TeamRange range = each ? TeamRange{0, T} : team_range(T, rank, size);
    for (int64_t t = range.begin; t < range.end; ++t) p.prepare_x(mine, a.x, t);
    if (!each && size > 1) s.team->barrier();
    run_few(p, a, few, mine, few_bytes, rank, size, own);
    run_many(p, a, few, mine, next, size, own);
  };
  alone ? task(0, 1) : s.team->run(task);
}

}  // namespace transom::cpu
