// Each head's own linear map: threads take heads. A head's weight rows are read once for all activation rows.
#include <atomic>

#include "base/error.h"
#include "base/threads.h"
#include "kernels/cpu/linear.h"

namespace transom::cpu {
namespace {

template <class V>
V columns(V v, int64_t begin, int64_t count) {
  v.data = reinterpret_cast<std::byte*>(const_cast<void*>(v.data)) + begin * info(v.dtype).bytes;
  v.cols = count;
  return v;
}

// y = x W: the sum of W's rows, each times its column of x.
void sum_of_rows(const Primitives& p, const ConstView& x, const WeightView& w, const View& y, std::byte* scratch) {
  const int64_t bytes = align(w.cols * 4), types = info(x.dtype).bytes;
  auto* row = reinterpret_cast<float*>(scratch);
  const auto sum = [&](int64_t t) { return View{scratch + (t + 1) * bytes, DType::kF32, 1, w.cols, w.cols}; };
  for (int64_t r = 0; r < w.rows; ++r) {
    p.decode(w, r, 0, row, w.cols);
    for (int64_t t = 0; t < x.rows; ++t) {
      float factor;
      p.convert(DType::kF32, &factor, x.dtype, static_cast<const std::byte*>(x.data) + (t * x.stride + r) * types, 1, 1.f);
      p.axpby({.x = {row, DType::kF32, 1, w.cols, w.cols}, .y = sum(t), .a = factor, .b = r > 0 ? 1.f : 0.f}, 0, 0, w.cols);
    }
  }
  for (int64_t t = 0; t < x.rows; ++t)
    p.convert(y.dtype, static_cast<std::byte*>(y.data) + t * y.stride * info(y.dtype).bytes, DType::kF32, sum(t).data, w.cols, 1.f);
}

// y = x Wᵀ through the kernel of few rows.
void products(const Primitives& p, const ConstView& x, const WeightView& w, const View& y, const Forms& forms, std::byte* scratch) {
  LinearX prepared;
  const int64_t used = forms.place(prepared, x, 0, scratch);
  for (int64_t t = 0; t < x.rows; ++t) p.prepare_x(prepared, x, t);
  p.gemv({.x = &prepared, .weight = &w, .out = {y, nullptr, 1.f, 0.f}, .n0 = 0, .n1 = w.rows, .t0 = 0, .t1 = x.rows,
          .scratch = scratch + used});
}

}  // namespace

void run_head_linear(const Primitives& p, const HeadLinearArgs& a, Stream& s) {
  const int64_t every = a.weight.rows / a.heads, xd = a.x.cols / a.heads, yd = a.y.cols / a.heads;
  const int64_t in = a.transposed ? a.rows : a.weight.cols, out = a.transposed ? a.weight.cols : a.rows;
  CHECK(a.x.rows == a.y.rows && in <= xd && out <= yd && a.first + a.rows <= every);
  if (a.x.rows == 0) return;
  Forms forms;
  forms.add(p.gemv_form(a.weight.dtype));
  LinearX shape;
  const int64_t own = a.transposed ? (a.x.rows + 1) * align(a.weight.cols * 4)
                                   : forms.place(shape, columns(a.x, 0, in), 0, nullptr) + align(static_cast<int64_t>(p.linear_scratch(in)));
  const bool alone = a.x.rows * a.heads * a.rows * a.weight.row_bytes < kAloneBytes || s.team->size() == 1;
  std::byte* memory = s.scratch(static_cast<size_t>(own * (alone ? 1 : s.team->size())));
  std::atomic<int64_t> next{0};
  const auto task = [&](int rank, int) {
    for (int64_t h; (h = next.fetch_add(1, std::memory_order_relaxed)) < a.heads;) {
      WeightView w = a.weight;
      w.data = a.weight.row(h * every + a.first);
      w.rows = a.rows;
      w.packed = nullptr;
      const ConstView x = columns(a.x, h * xd, in);
      const View y = columns(a.y, h * yd, out);
      a.transposed ? sum_of_rows(p, x, w, y, memory + rank * own) : products(p, x, w, y, forms, memory + rank * own);
    }
  };
  alone ? task(0, 1) : s.team->run(task);
}

}  // namespace transom::cpu
