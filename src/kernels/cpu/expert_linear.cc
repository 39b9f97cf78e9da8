// The linear layers of a mixture of experts, over the experts that have rows: one list of tasks, each some weight rows of one
// expert's segment times all activation rows of that expert. Threads take tasks as they become free. Activations are gathered
// into the order of the positions while they are prepared; a single one, which goes to several experts, is prepared once.
#include <algorithm>
#include <atomic>

#include "base/error.h"
#include "base/threads.h"
#include "kernels/cpu/linear.h"

namespace transom::cpu {
namespace {

// All weight rows of one segment of one expert; cut into tasks of `step` rows, of which `first` is the number of the first.
struct Product {
  const WeightView* weight;
  LinearOut out;
  int64_t t0, t1, step, first, group;
  bool few;

  int64_t tasks() const { return (weight->rows + step - 1) / step; }
};

// x's rows from `at` on.
LinearX from_row(LinearX x, int64_t at) {
  const int64_t blocks = x.padded / 32;
  x.rows -= at;
  if (x.f32) x.f32 += at * x.f32_stride;
  if (x.bf16) x.bf16 += at * x.bf16_stride;
  for (std::byte*& q : x.q16)
    if (q) q += at * x.padded * kQ16Bytes;
  if (x.d) x.d += at * blocks, x.s32 += at * blocks, x.s16 += 2 * at * blocks;
  return x;
}

View rows_from(View v, int64_t at, int64_t count) {
  v.data = static_cast<std::byte*>(v.data) + at * v.stride * info(v.dtype).bytes;
  v.rows = count;
  return v;
}
ConstView row(ConstView v, int64_t at) {
  v.data = static_cast<const std::byte*>(v.data) + at * v.stride * info(v.dtype).bytes;
  v.rows = 1;
  return v;
}

struct Call {
  const Primitives& p;
  const ExpertLinearArgs& a;
  bool one_order;
  int64_t positions, routed = 0, groups = 0, bytes = 0, work = 0;  // bytes: of weights; work: times the rows they meet
  Forms forms;

  bool few(int64_t rows, DType weight) const { return one_order || rows <= p.few_rows(weight); }
  // One activation row, which goes to all positions.
  bool single() const { return a.rows && a.x.rows == 1; }
  int64_t prepared() const { return single() ? 1 : positions; }
  int64_t groups_of(int64_t rows) const { return p.group_rows ? (rows + p.group_rows - 1) / p.group_rows : 0; }
  // An expert's groups follow those of the experts before it.
  RowList rows_of(int64_t group) const {
    for (int64_t e = 0;; ++e) {
      const int64_t rows = a.offsets[e + 1] - a.offsets[e], first = group * p.group_rows;
      if (group < groups_of(rows)) return {a.x, a.rows, a.offsets[e] + first, std::min(p.group_rows, rows - first)};
      group -= groups_of(rows);
    }
  }

  Call(const Primitives& primitives, const ExpertLinearArgs& args, bool one)
      : p(primitives), a(args), one_order(one), positions(args.offsets[args.experts]) {
    for (int64_t e = 0; e < a.experts; ++e) {
      const int64_t rows = a.offsets[e + 1] - a.offsets[e];
      if (rows == 0) continue;
      ++routed;
      groups += groups_of(rows);
      for (const ExpertSegment& g : a.segments) {
        const WeightView& w = *g.weights[e];
        CHECK(w && w.cols == a.x.cols && w.rows == g.y.cols && g.y.rows == positions);
        forms.add(few(rows, w.dtype) ? p.gemv_form(w.dtype) : p.gemm_form(w.dtype, a.x.dtype));
        bytes += w.rows * w.row_bytes;
        work += rows * w.rows * w.row_bytes;
      }
    }
  }

  // Fills `products` (routed * segments) and returns the number of tasks. Few rows: pieces of about `piece` bytes.
  int64_t list(Product* products, int64_t piece) const {
    int64_t tasks = 0, group = 0;
    for (int64_t e = 0; e < a.experts; ++e) {
      const int64_t begin = a.offsets[e], rows = a.offsets[e + 1] - begin;
      if (rows == 0) continue;
      for (const ExpertSegment& g : a.segments) {
        const WeightView* w = g.weights[e];
        const float* bias = g.biases ? reinterpret_cast<const float*>(g.biases[e]->data) : nullptr;
        // A single activation row has no row for each position: the output is shifted instead.
        const int64_t t0 = single() ? 0 : begin;
        const View y = single() ? rows_from(g.y, begin, 1) : g.y;
        const int64_t step = few(rows, w->dtype) ? std::max<int64_t>(piece / std::max<int64_t>(w->row_bytes, 1), 8) / 8 * 8 : p.panel;
        *products = {.weight = w, .out = {y, bias, 1.f, 0.f}, .t0 = t0, .t1 = t0 + (single() ? 1 : rows), .step = step,
                     .first = tasks, .group = group, .few = few(rows, w->dtype)};
        tasks += products++->tasks();
      }
      group += groups_of(rows);
    }
    return tasks;
  }

  void prepare(const LinearX& x, int64_t begin, int64_t end) const {
    for (int64_t i = begin; i < end; ++i) {
      if (a.rows && !single()) p.prepare_x(from_row(x, i), row(a.x, a.rows[i]), 0);
      else p.prepare_x(x, a.x, i);
    }
  }

  void run(const Product* products, int64_t tasks, const LinearX& x, std::atomic<int64_t>& next, std::byte* scratch) const {
    for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) {
      while (i >= products->first + products->tasks()) ++products;  // a thread's numbers only grow
      const int64_t n0 = (i - products->first) * products->step;
      const LinearTile tile = {.x = &x, .weight = products->weight, .out = products->out, .n0 = n0,
                               .n1 = std::min(n0 + products->step, products->weight->rows), .t0 = products->t0,
                               .t1 = products->t1, .scratch = scratch, .group = products->group};
      (products->few ? p.gemv : p.gemm)(tile);
    }
  }
};

}  // namespace

void run_expert_linear(const Primitives& p, const ExpertLinearArgs& a, Stream& s, bool one_order) {
  const Call call(p, a, one_order);
  if (call.positions == 0) return;
  const int size = s.team->size();
  const bool alone = call.work < kAloneBytes || size == 1;
  const bool each = call.prepared() <= 4;  // every thread prepares its own, which is cheaper than a barrier
  const bool copy = !call.single();  // tiles of an expert's last rows may read past the last of all
  ConstView shape = a.x;
  shape.rows = call.prepared();
  const int copies = alone ? 1 : size, sets = each ? copies : 1;
  LinearX x;
  const int64_t groups = call.forms.grouped() ? call.groups : 0;
  const int64_t form_bytes = call.forms.place(x, shape, groups, nullptr, copy), own_bytes = align(static_cast<int64_t>(p.linear_scratch(a.x.cols)));
  const auto products = call.routed * static_cast<int64_t>(a.segments.size());
  std::byte* memory = s.scratch(static_cast<size_t>(sets * form_bytes + copies * own_bytes + products * static_cast<int64_t>(sizeof(Product))));
  std::byte* first_form = memory + copies * own_bytes;
  auto* list = reinterpret_cast<Product*>(first_form + sets * form_bytes);
  constexpr int64_t kLeast = 4 << 10, kMost = 128 << 10;
  const int64_t tasks = call.list(list, std::clamp(call.bytes / (4 * copies), kLeast, kMost));
  std::atomic<int64_t> next{0};
  const auto task = [&](int rank, int ranks) {
    LinearX mine;
    call.forms.place(mine, shape, groups, first_form + (each ? rank : 0) * form_bytes, copy);
    const TeamRange range = each ? TeamRange{0, call.prepared()} : team_range(call.prepared(), rank, ranks);
    call.prepare(mine, range.begin, range.end);
    prepare_groups(p, mine, groups, each ? 0 : rank, each ? 1 : ranks, [&](int64_t group) { return call.rows_of(group); });
    if (!each && ranks > 1) s.team->barrier();
    call.run(list, tasks, mine, next, memory + rank * own_bytes);
  };
  alone ? task(0, 1) : s.team->run(task);
}

}  // namespace transom::cpu
