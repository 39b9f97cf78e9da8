// Sharing a linear call among the team's threads. All segments are one list of weight rows, of which threads take pieces as they become
// free, smaller ones as the work runs out, so that all end together also where one runs slower. Up to four activation rows each thread
// prepares for itself (cheaper than a barrier); more are prepared together.
#include "kernels/cpu/linear.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/threads.h"

namespace transom::cpu {
namespace {

LinearTile tile_of(const LinearArgs& a, const LinearSegment& g, const LinearX& x, std::byte* scratch) {
  return {.x = &x, .weight = &g.weight, .out = {g.y, g.bias, a.alpha, a.beta}, .n0 = 0, .n1 = g.weight.rows, .t0 = 0,
          .t1 = x.rows, .scratch = scratch};
}

// Which kernel a segment's products go through depends on it alone, not on the segments beside it.
struct Few {
  const Primitives* p;
  int64_t rows;
  bool one_order;

  bool operator()(const LinearSegment& g) const { return one_order || rows <= p->few_rows(g.weight.dtype); }
};

// Calls f(segment, first unit, count) for what this thread claims of the segments' units; bounds(segment): at least and at most so many.
template <class Units, class Bounds, class Call>
void claim(const LinearArgs& a, std::atomic<int64_t>& next, int size, Units&& units_of, Bounds&& bounds, Call&& f) {
  int64_t units = 0;
  for (const LinearSegment& g : a.segments) units += units_of(g);
  for (int64_t i = next.load(std::memory_order_relaxed); i < units;) {
    int64_t first = i;  // within the segment
    const LinearSegment* g = a.segments.data();
    for (; first >= units_of(*g); ++g) first -= units_of(*g);
    const auto [least, most] = bounds(*g);
    const int64_t count = std::min(std::clamp((units - i) / (size + 1), least, most), units_of(*g) - first);
    if (!next.compare_exchange_weak(i, i + count, std::memory_order_relaxed)) continue;
    f(*g, first, count);
    i = next.load(std::memory_order_relaxed);
  }
}

// Units of eight weight rows, sixteen KiB at least.
void run_few(const Primitives& p, const LinearArgs& a, Few few, const LinearX& x, std::atomic<int64_t>& next, int size, std::byte* scratch) {
  constexpr int64_t kRows = 8, kLeast = 16 << 10;
  const auto units = [&](const LinearSegment& g) { return few(g) ? (g.weight.rows + kRows - 1) / kRows : 0; };
  const auto bounds = [&](const LinearSegment& g) {
    return std::pair(1 + kLeast / std::max<int64_t>(kRows * g.weight.row_bytes, 1), std::numeric_limits<int64_t>::max());
  };
  claim(a, next, size, units, bounds, [&](const LinearSegment& g, int64_t first, int64_t count) {
    LinearTile tile = tile_of(a, g, x, scratch);
    tile.n0 = first * kRows;
    tile.n1 = std::min(tile.n0 + count * kRows, g.weight.rows);
    p.gemv(tile);
  });
}

void run_many(const Primitives& p, const LinearArgs& a, Few few, const LinearX& x, std::atomic<int64_t>& next, int size, std::byte* scratch) {
  const auto units = [&](const LinearSegment& g) { return few(g) ? 0 : (g.weight.rows + p.panel - 1) / p.panel; };
  const auto bounds = [&](const LinearSegment& g) { return std::pair(int64_t{1}, std::max<int64_t>(p.panels(g.weight.dtype, a.x.cols), 1)); };
  claim(a, next, size, units, bounds, [&](const LinearSegment& g, int64_t first, int64_t count) {
    LinearTile tile = tile_of(a, g, x, scratch);
    tile.n0 = first * p.panel;
    tile.n1 = std::min(tile.n0 + count * p.panel, g.weight.rows);
    p.gemm(tile);
  });
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
  int64_t bytes = 0;
  for (const LinearSegment& g : a.segments) {
    forms.add(few(g) ? p.gemv_form(g.weight.dtype) : p.gemm_form(g.weight.dtype, a.x.dtype));
    bytes += g.weight.rows * g.weight.row_bytes;
  }
  LinearX x;
  const int64_t groups = forms.grouped() ? (T + p.group_rows - 1) / p.group_rows : 0;
  const int64_t form_bytes = forms.place(x, a.x, groups, nullptr), own_bytes = align(static_cast<int64_t>(p.linear_scratch(a.x.cols)));
  const bool alone = T * bytes < kAloneBytes || s.team->size() == 1, each = T <= 4;
  const int copies = alone ? 1 : s.team->size();
  std::byte* memory = s.scratch(static_cast<size_t>((each ? copies : 1) * form_bytes + copies * own_bytes));
  std::atomic<int64_t> next_few{0}, next_many{0};
  const auto task = [&](int rank, int size) {
    std::byte* own = memory + rank * own_bytes;
    LinearX mine;
    forms.place(mine, a.x, groups, memory + copies * own_bytes + (each ? rank : 0) * form_bytes);
    const TeamRange range = each ? TeamRange{0, T} : team_range(T, rank, size);
    for (int64_t t = range.begin; t < range.end; ++t) p.prepare_x(mine, a.x, t);
    prepare_groups(p, mine, groups, each ? 0 : rank, each ? 1 : size, [&](int64_t group) {
      return RowList{a.x, nullptr, group * p.group_rows, std::min(p.group_rows, T - group * p.group_rows)};
    });
    if (!each && size > 1) s.team->barrier();
    run_few(p, a, few, mine, next_few, size, own);
    run_many(p, a, few, mine, next_many, size, own);
  };
  alone ? task(0, 1) : s.team->run(task);
}

}  // namespace transom::cpu
