// The backward rows of the recurrences, over ragged sequences that begin together: every input and parameter against central
// differences of the reference forward, in random directions; and the same bits whatever the type that holds the inputs and
// the number of threads.
#include <functional>

#include "kernels/data.h"
#include "kernels/recurrence_grad.h"

namespace transom::test {
namespace {

constexpr int32_t kStarts[] = {0, 1, 34, 41, 43};
constexpr int64_t kRows = 43;
constexpr RecurrentTable kSequences{.count = 4, .q_start = kStarts};

double inner(const Matrix& a, const Matrix& b) {
  double s = 0;
  for (int64_t r = 0; r < a.view().rows; ++r)
    for (int64_t c = 0; c < a.view().cols; ++c) s += double{a.get(r, c)} * b.get(r, c);
  return s;
}

// An input or a parameter, held in every type without rounding, and its gradient, which holds something to begin with.
struct Variable {
  std::string name;
  Matrix value, bf16, f16, before, grad;

  Variable(std::string n, Random& random, int64_t rows, int64_t cols, float scale = 1.f, float mean = 0.f, int64_t gap = 3)
      : name(std::move(n)), value(DType::kF32, rows, cols, gap), bf16(DType::kBF16, rows, cols), f16(DType::kF16, rows, cols),
        before(Matrix(DType::kF32, rows, cols, gap).fill(random)), grad(before) {
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < cols; ++c) {
        f16.set(r, c, mean + normal(random, scale));
        bf16.set(r, c, f16.get(r, c));
      }
    settle();
  }
  // What the types have in common: bf16's digits within f16's range.
  void settle() {
    for (int64_t r = 0; r < value.view().rows; ++r)
      for (int64_t c = 0; c < value.view().cols; ++c) {
        f16.set(r, c, bf16.get(r, c));
        value.set(r, c, f16.get(r, c));
        bf16.set(r, c, f16.get(r, c));
      }
  }
  void restart() {
    for (int64_t r = 0; r < grad.view().rows; ++r)
      for (int64_t c = 0; c < grad.view().cols; ++c) grad.set(r, c, before.get(r, c));
  }
  ConstView as(DType t) const { return t == DType::kF32 ? value : t == DType::kBF16 ? bf16 : f16; }
  const float* numbers() const { return value.view().row<float>(0); }
  float* sums() const { return grad.view().row<float>(0); }
};
Variable parameter(std::string name, Random& random, int64_t rows, int64_t cols, float scale = 1.f) {
  return {std::move(name), random, rows, cols, scale, 0.f, 0};
}

class RecurrenceGradients : public TableTest {
 protected:
  using Loss = std::function<double()>;
  using Backward = std::function<void(DType, Stream&)>;

  void check(const Loss& loss, const Backward& backward, const std::vector<Variable*>& all) {
    for (Variable* v : all) v->restart();
    backward(DType::kF32, bench.stream);
    for (Variable* v : all) compare(loss, *v);
    std::vector<Matrix> first;
    for (Variable* v : all) first.push_back(v->grad);
    ThreadTeam alone{1};
    Stream stream = stream_of(alone);
    for (const DType type : activations) {
      for (Variable* v : all) v->restart();
      backward(type, stream);
      for (size_t i = 0; i < all.size(); ++i) EXPECT_TRUE(all[i]->grad.same_bytes(first[i])) << all[i]->name << " from " << name(type);
    }
  }

 private:
  // Differences of the fourth order: what is left is the rounding of results and states to float, over the step.
  void compare(const Loss& loss, Variable& v) {
    constexpr double kStep = 0x1p-6;
    const Matrix saved(v.value);
    const int64_t rows = saved.view().rows, cols = saved.view().cols;
    Matrix added(DType::kF32, rows, cols);
    for (int64_t r = 0; r < rows; ++r)
      for (int64_t c = 0; c < cols; ++c) added.set(r, c, v.grad.get(r, c) - v.before.get(r, c));
    const double size = std::sqrt(inner(added, added));
    ASSERT_GT(size, 0) << v.name;
    for (int trial = 0; trial < 3; ++trial) {
      const Matrix d = Matrix(DType::kF32, rows, cols).fill(random);
      const auto at = [&](double h) {
        for (int64_t r = 0; r < rows; ++r)
          for (int64_t c = 0; c < cols; ++c) v.value.set(r, c, static_cast<float>(saved.get(r, c) + h * d.get(r, c)));
        return loss();
      };
      const double slope = (8 * (at(kStep) - at(-kStep)) - (at(2 * kStep) - at(-2 * kStep))) / (12 * kStep);
      at(0);
      EXPECT_NEAR(inner(added, d), slope, 2e-4 * size + 1e-5) << v.name << ", trial " << trial;
    }
    v.grad.expect_surroundings_untouched();
  }
};
INSTANTIATE_TEST_SUITE_P(Tables, RecurrenceGradients, testing::ValuesIn(available_kernels()), table_name);

TEST_P(RecurrenceGradients, CausalConv) {
  for (const int64_t cols : {1, 19})
    for (const int64_t width : {1, 2, 4}) {
      Variable x("x", random, kRows, cols);
      Variable weight = parameter("weight", random, cols, width), bias = parameter("bias", random, 1, cols);
      Matrix y(DType::kF32, kRows, cols), dy = Matrix(DType::kF32, kRows, cols).fill(random);
      const auto args = [&](DType t) {
        return CausalConvArgs{.x = x.as(t), .weight = weight.numbers(), .bias = bias.numbers(), .width = width, .y = y, .seqs = kSequences,
                              .state = {}};
      };
      check([&] { return bench.ref.causal_conv(args(DType::kF32), bench.stream), inner(y, dy); },
            [&](DType t, Stream& s) {
              table().causal_conv_grad({.forward = args(t), .dy = dy, .dx_acc = x.grad, .dweight_acc = weight.sums(), .dbias_acc = bias.sums()}, s);
            }, {&x, &weight, &bias});
    }
}

// Of every three rows one is held at the least time step, one at the largest.
TEST_P(RecurrenceGradients, TimeStep) {
  const int64_t cols = 7;
  Variable x("x", random, kRows, cols, 0.5f), bias = parameter("bias", random, 1, cols, 0.3f), a_log = parameter("a_log", random, 1, cols);
  for (int64_t t = 0; t < kRows; ++t)
    for (int64_t c = 0; c < cols; ++c) x.bf16.set(t, c, x.value.get(t, c) + 8.f * static_cast<float>((t + c) % 3 - 1));
  x.settle();
  Matrix dt(DType::kF32, kRows, cols), decay(dt), ddt = Matrix(DType::kF32, kRows, cols).fill(random), ddecay = Matrix(ddt).fill(random);
  for (const bool both : {true, false}) {
    const auto args = [&](DType t) {
      return TimeStepArgs{.x = x.as(t), .bias = bias.numbers(), .a_log = a_log.numbers(), .least = 0.01f, .most = 4.f, .dt = dt, .log_decay = decay};
    };
    check([&] { return bench.ref.time_step(args(DType::kF32), bench.stream), (both ? inner(dt, ddt) : 0) + inner(decay, ddecay); },
          [&](DType t, Stream& s) {
            table().time_step_grad({.forward = args(t), .ddt = both ? ddt : ConstView{}, .dlog_decay = ddecay, .dx_acc = x.grad,
                                    .dbias_acc = bias.sums(), .da_log_acc = a_log.sums()}, s);
          }, {&x, &bias, &a_log});
  }
}

TEST_P(RecurrenceGradients, LinearRecurrence) {
  struct Shape {
    int64_t heads, key_heads, dk, dv;
  };
  for (const Shape d : {Shape{1, 1, 3, 5}, Shape{4, 2, 8, 6}, Shape{20, 1, 5, 2}})
    for (const bool delta : {false, true}) {
      const float size = 1 / std::sqrt(static_cast<float>(d.dk));  // keys of about unit length
      Variable q("q", random, kRows, d.key_heads * d.dk, size), k("k", random, kRows, d.key_heads * d.dk, size);
      Variable v("v", random, kRows, d.heads * d.dv), decay("log_decay", random, kRows, d.heads, 0.1f, -0.4f);
      Variable factor("factor", random, kRows, d.heads, 0.2f, 0.5f), skip = parameter("skip", random, 1, d.heads);
      Matrix y(DType::kF32, kRows, d.heads * d.dv), dy = Matrix(y).fill(random);
      const auto args = [&](DType t) {
        return LinearRecurrenceArgs{.q = q.as(t), .k = k.as(t), .v = v.as(t), .log_decay = decay.value, .factor = factor.as(t),
                                    .skip = delta ? nullptr : skip.numbers(), .y = y, .heads = d.heads, .key_heads = d.key_heads,
                                    .scale = 0.7f, .delta = delta, .seqs = kSequences, .state = {}};
      };
      std::vector<Variable*> all = {&q, &k, &v, &decay, &factor};
      if (!delta) all.push_back(&skip);
      check([&] { return bench.ref.linear_recurrence(args(DType::kF32), bench.stream), inner(y, dy); },
            [&](DType t, Stream& s) {
              table().linear_recurrence_grad({.forward = args(t), .dy = dy, .dq_acc = q.grad, .dk_acc = k.grad, .dv_acc = v.grad,
                                              .dlog_decay_acc = decay.grad, .dfactor_acc = factor.grad,
                                              .dskip_acc = delta ? nullptr : skip.sums()}, s);
            }, all);
    }
}

TEST_P(RecurrenceGradients, SelectiveScan) {
  for (const int64_t cols : {1, 19})
    for (const int64_t n : {1, 6}) {
      Variable x("x", random, kRows, cols), dt("dt", random, kRows, cols), b("b", random, kRows, n), c("c", random, kRows, n);
      Variable a_log = parameter("a_log", random, cols, n), skip = parameter("skip", random, 1, cols);
      Matrix y(DType::kF32, kRows, cols), dy = Matrix(y).fill(random);
      const auto args = [&](DType t) {
        return SelectiveScanArgs{.x = x.as(t), .dt = dt.as(t), .b = b.as(t), .c = c.as(t), .a_log = a_log.numbers(), .skip = skip.numbers(),
                                 .y = y, .seqs = kSequences, .state = {}};
      };
      check([&] { return bench.ref.selective_scan(args(DType::kF32), bench.stream), inner(y, dy); },
            [&](DType t, Stream& s) {
              table().selective_scan_grad({.forward = args(t), .dy = dy, .dx_acc = x.grad, .ddt_acc = dt.grad, .db_acc = b.grad,
                                           .dc_acc = c.grad, .da_log_acc = a_log.sums(), .dskip_acc = skip.sums()}, s);
            }, {&x, &dt, &b, &c, &a_log, &skip});
    }
}

TEST_P(RecurrenceGradients, Wkv) {
  for (const int64_t cols : {1, 19}) {
    Variable k("k", random, kRows, cols, 2.f), v("v", random, kRows, cols);
    Variable decay = parameter("decay", random, 1, cols), first = parameter("first", random, 1, cols);
    Matrix y(DType::kF32, kRows, cols), dy = Matrix(y).fill(random);
    const auto args = [&](DType t) {
      return WkvArgs{.k = k.as(t), .v = v.as(t), .decay = decay.numbers(), .first = first.numbers(), .y = y, .seqs = kSequences, .state = {}};
    };
    check([&] { return bench.ref.wkv(args(DType::kF32), bench.stream), inner(y, dy); },
          [&](DType t, Stream& s) {
            table().wkv_grad({.forward = args(t), .dy = dy, .dk_acc = k.grad, .dv_acc = v.grad, .ddecay_acc = decay.sums(),
                              .dfirst_acc = first.sums()}, s);
          }, {&k, &v, &decay, &first});
  }
}

// Keys far above what a power of e can be: shares of an average are differences of exponents.
TEST_P(RecurrenceGradients, WkvOfLargeKeys) {
  Variable k("k", random, kRows, 5, 300.f), v("v", random, kRows, 5);
  const std::vector<float> decay(5, -1.f), first(5, 0.5f);
  const Matrix dy = Matrix(DType::kF32, kRows, 5).fill(random);
  const WkvArgs a{.k = k.value, .v = v.value, .decay = decay.data(), .first = first.data(), .y = {}, .seqs = kSequences, .state = {}};
  table().wkv_grad({.forward = a, .dy = dy, .dk_acc = k.grad, .dv_acc = v.grad}, bench.stream);
  for (int64_t t = 0; t < kRows; ++t)
    for (int64_t c = 0; c < 5; ++c) EXPECT_TRUE(std::isfinite(k.grad.get(t, c)) && std::isfinite(v.grad.get(t, c))) << t << " " << c;
}

}  // namespace
}  // namespace transom::test
