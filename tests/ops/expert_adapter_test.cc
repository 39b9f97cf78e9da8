// Adapters on experts: rows of an adapted sequence get W + scale * B A, the others W, whatever they are batched with.
#include <gtest/gtest.h>

#include <deque>
#include <random>

#include "base/threads.h"
#include "ops/ops.h"
#include "ops/random_tensor.h"
#include "spec/adapter.h"

namespace transom {
namespace {

class ExpertAdapter : public testing::Test {
 protected:
  ExpertAdapter() { stream_.team = &team_; }

  Tensor random(int64_t rows, int64_t cols) { return test::random_tensor(engine_, rows, cols); }
  Weight weight(int64_t rows, int64_t cols) {
    const Tensor t = random(rows, cols);
    Weight w;
    w.view = {static_cast<const std::byte*>(t.view.data), DType::kF32, rows, cols, cols * 4};
    w.owner = t.owner;
    return w;
  }
  // W + scale * B A
  Weight merged(const Weight& w, const LoraFactors& f) {
    Weight m = weight(w.view.rows, w.view.cols);
    for (int64_t r = 0; r < w.view.rows; ++r)
      for (int64_t c = 0; c < w.view.cols; ++c) {
        double sum = at(w, r, c);
        for (int64_t i = 0; i < f.a.view.rows; ++i) sum += f.scale * at(f.b, r, i) * at(f.a, i, c);
        reinterpret_cast<float*>(const_cast<std::byte*>(m.view.row(r)))[c] = static_cast<float>(sum);
      }
    return m;
  }
  static double at(const Weight& w, int64_t r, int64_t c) { return reinterpret_cast<const float*>(w.view.row(r))[c]; }

  std::mt19937 engine_{3};
  ThreadTeam team_{2};
  Stream stream_;
  Arena arena_;
};

TEST_F(ExpertAdapter, EqualsMergedWeightsOnItsRows) {
  constexpr int64_t kExperts = 4, kRows = 7, kIn = 6, kOut = 5;
  std::deque<Param> plain(kExperts), changed(kExperts);
  ops::ExpertParam p, q;
  Adapter adapter;
  for (int64_t e = 0; e < kExperts; ++e) {
    plain[e] = {.name = "e", .rows = kOut, .cols = kIn, .weight = weight(kOut, kIn)};
    changed[e] = plain[e];
    if (e != 1) {  // one expert has no factors
      const LoraFactors f{.a = weight(2, kIn), .b = weight(kOut, 2), .scale = 0.5f};
      changed[e].weight = merged(plain[e].weight, f);
      adapter.factors.emplace(&plain[e], f);
    }
    p.add(&plain[e], nullptr);
    q.add(&changed[e], nullptr);
  }
  const Tensor logits = random(kRows, kExperts), x = random(kRows, kIn);
  for (const std::string_view name : available_kernels()) {
    Ctx cx{.kernels = kernels_by_name(name), .stream = stream_, .arena = arena_};
    const ops::Routing r = ops::route(cx, logits, {.top_k = 2}, nullptr);
    const Tensor gathered = ops::gather_rows(cx, x, r.routed.rows, r.pairs);
    const auto run = [&](const ops::ExpertParam& params, ops::From from) {
      const ops::ExpertParam* list[] = {&params};
      Tensor y[1];
      ops::expert_linear(cx, from == ops::From::kRows ? x : gathered, from, r, list, y);
      return y[0];
    };
    const Tensor without = run(p, ops::From::kRows), with = run(q, ops::From::kRows);
    cx.adapters = {{.begin = 2, .count = 3, .adapter = &adapter}};
    for (const auto from : {ops::From::kRows, ops::From::kPositions}) {
      const Tensor y = run(p, from);
      for (int64_t i = 0; i < r.pairs; ++i) {
        const bool adapted = r.routed.rows[i] >= 2 && r.routed.rows[i] < 5;
        for (int64_t c = 0; c < kOut; ++c)
          EXPECT_NEAR(y.view.row<float>(i)[c], (adapted ? with : without).view.row<float>(i)[c], 1e-4) << name << " position " << i;
      }
    }
  }
}

}  // namespace
}  // namespace transom
