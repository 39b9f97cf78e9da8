// Every op's backward against finite differences, through the tape, on the reference kernels; and a walk over the kernel
// table: each row has a reference twin, and each row that inference differentiates through has a backward.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <random>

#include "base/threads.h"
#include "ops/ops.h"
#include "ops/random_tensor.h"

namespace transom {
namespace {

// A context on the reference kernels, and inputs whose gradients are compared.
class Gradient : public testing::Test {
 protected:
  using Inputs = std::vector<Tensor>;
  using Function = std::function<Tensor(Ctx&, const Inputs&)>;

  Gradient() { stream_.team = &team_; }

  Tensor random(int64_t rows, int64_t cols, double scale = 1) { return test::random_tensor(engine_, rows, cols, scale); }
  // A parameter [rows, cols] of random values.
  Param param(const char* name, int64_t rows, int64_t cols) {
    const Tensor t = random(rows, cols);
    Param p{.name = name, .rows = rows, .cols = cols, .weight = {}};
    p.weight.view = {static_cast<const std::byte*>(t.view.data), DType::kF32, rows, cols, cols * 4};
    p.weight.owner = t.owner;
    return p;
  }
  static Tensor as_input(const Param& p) {
    Tensor t;
    t.view = {const_cast<std::byte*>(p.weight.view.data), DType::kF32, p.rows, p.cols, p.cols};
    return t;
  }

  Ctx context(Tape* tape) {
    arena_.reset();
    Ctx cx{.kernels = ref_kernels(), .stream = stream_, .arena = arena_, .tape = tape};
    cx.batch = batch_;
    return cx;
  }

  // Σ r·f(inputs) with fixed random r, in double.
  double objective(const Function& f, const Inputs& inputs) {
    Ctx cx = context(nullptr);
    Inputs copies;  // ops may write over their inputs
    for (const Tensor& t : inputs) {
      Tensor c = arena_.tensor(DType::kF32, t.rows(), t.cols());
      std::memcpy(c.view.data, t.view.data, sizeof(float) * t.rows() * t.cols());
      copies.push_back(c);
    }
    return weigh(f(cx, copies));
  }
  double weigh(const Tensor& y) const {
    double sum = 0;
    for (int64_t t = 0; t < y.rows(); ++t)
      for (int64_t c = 0; c < y.cols(); ++c) sum += weight(t, c) * y.view.row<float>(t)[c];
    return sum;
  }
  static double weight(int64_t t, int64_t c) { return std::sin(1.3 * static_cast<double>(t) + 0.7 * static_cast<double>(c) + 0.4); }

  // Gradients of the objective with respect to `inputs` (recorded) and `params` against central differences.
  void check(const Function& f, Inputs inputs, const std::vector<const Param*>& params = {}) {
    Tape tape;
    Ctx cx = context(&tape);
    for (Tensor& t : inputs) tape.track(t);
    for (const Param* p : params) tape.train(p);
    const Inputs originals = inputs;
    std::vector<std::vector<float>> saved;
    for (const Tensor& t : inputs) saved.emplace_back(t.view.row<float>(0), t.view.row<float>(0) + t.rows() * t.cols());
    const Tensor y = f(cx, inputs);
    const View dy = tape.grad(cx, y);
    for (int64_t t = 0; t < y.rows(); ++t)
      for (int64_t c = 0; c < y.cols(); ++c) dy.row<float>(t)[c] = static_cast<float>(weight(t, c));
    tape.backward(cx);
    std::vector<std::vector<float>> got;
    for (const Tensor& t : inputs) {
      const View g = tape.grad(cx, t);
      got.emplace_back(g.row<float>(0), g.row<float>(0) + t.rows() * t.cols());
    }
    for (const Param* p : params) {
      const View g = tape.param_grad(p, ref_kernels(), stream_);
      got.emplace_back(g.row<float>(0), g.row<float>(0) + p->rows * p->cols);
    }
    for (size_t i = 0; i < saved.size(); ++i) std::copy(saved[i].begin(), saved[i].end(), inputs[i].view.row<float>(0));
    for (size_t i = 0; i < got.size(); ++i)
      compare(f, originals, i < inputs.size() ? inputs[i] : as_input(*params[i - inputs.size()]), got[i], i);
  }

  void compare(const Function& f, const Inputs& inputs, const Tensor& varied, const std::vector<float>& got, size_t which) {
    constexpr float kStep = 1e-2f;
    float* x = varied.view.row<float>(0);
    double top = 1e-3;
    for (const float g : got) top = std::max(top, std::fabs(double{g}));
    for (size_t i = 0; i < got.size(); ++i) {
      const float at = x[i];
      x[i] = at + kStep;
      const double up = objective(f, inputs);
      x[i] = at - kStep;
      const double down = objective(f, inputs);
      x[i] = at;
      EXPECT_NEAR(got[i], (up - down) / (2.0 * kStep), 5e-3 * top) << "input " << which << " element " << i;
    }
  }

  // Two packed sequences of 5 and 3 tokens.
  void two_sequences() {
    batch_.rows = 8;
    batch_.positions = positions_;
    batch_.max_position = 5;
    batch_.packed = {.count = 2, .q_start = q_start_, .kv_len = lengths_, .max_q_len = 5, .max_kv_len = 5};
    batch_.recurrent = {.count = 2, .q_start = q_start_};
  }

  std::mt19937 engine_{7};
  ThreadTeam team_{1};
  Stream stream_;
  Arena arena_;
  Batch batch_;
  const int32_t positions_[8] = {0, 1, 2, 3, 4, 0, 1, 2};
  Param w3_;
  const int32_t q_start_[3] = {0, 5, 8}, lengths_[2] = {5, 3};
};

TEST_F(Gradient, LinearWithSharedInput) {
  const Param w1 = param("a.weight", 5, 6), b1 = param("a.bias", 1, 5), w2 = param("b.weight", 3, 6);
  const auto f = [&](Ctx& cx, const Inputs& in) {
    const ops::LinearParam p[] = {{&w1, &b1}, {&w2, nullptr}};
    Tensor out[2];
    ops::linear(cx, in[0], p, out);
    return ops::act_mul(cx, ops::linear(cx, out[0], {&w3_, nullptr}), out[1], Activation::kTanh);  // both outputs matter
  };
  w3_ = param("c.weight", 3, 5);
  check(f, {random(4, 6, 0.3)}, {&w1, &b1, &w2});
}

TEST_F(Gradient, Norms) {
  const Param w = param("weight", 1, 6), b = param("bias", 1, 6);
  for (const auto kind : {ops::Norm::kRms, ops::Norm::kLayer}) {
    const ops::NormParam p{.kind = kind, .weight = &w, .bias = kind == ops::Norm::kLayer ? &b : nullptr, .eps = 1e-3f, .weight_offset = 0.5f};
    std::vector<const Param*> params = {&w};
    if (p.bias) params.push_back(&b);
    check([&](Ctx& cx, const Inputs& in) { return ops::norm(cx, in[0], p); }, {random(3, 6)}, params);
    check([&](Ctx& cx, const Inputs& in) { return ops::norm(cx, in[0], p, 2); }, {random(3, 12)}, params);
    check([&](Ctx& cx, const Inputs& in) { return ops::norm(cx, in[0], p, 2); }, {random(3, 6)}, params);  // each group's own weights
    check([&](Ctx& cx, const Inputs& in) {
      const ops::AddNorm r = ops::add_norm(cx, in[0], in[1], p, 0.7f);
      return ops::add(cx, r.sum, r.y, 1.5f);  // both outputs matter
    }, {random(3, 6), random(3, 6)}, params);
  }
}

TEST_F(Gradient, Rope) {
  two_sequences();
  for (const bool interleaved : {false, true})
    check([&](Ctx& cx, const Inputs& in) {
      const float inv_freq[] = {1.f, 0.3f};
      Tensor x = ops::add(cx, in[0], in[0], 1.f);  // rope works in place: keep the input
      ops::rope(cx, x, ops::rope_tables(cx, inv_freq, 1.2f), 2, interleaved, 2);
      return x;
    }, {random(8, 12)});
}

TEST_F(Gradient, Attention) {
  two_sequences();
  const struct {
    bool causal;
    int32_t window;
    float softcap;
    bool alibi = false;
    int32_t chunk = 0;
  } cases[] = {{true, 0, 0}, {true, 2, 0}, {true, 0, 1.5f}, {false, 0, 0}, {false, 2, 2.f}, {true, 0, 0, true}, {true, 0, 0, false, 2}};
  static constexpr float kSlopes[] = {0.5f, 0.25f, 0.125f, 0.3f};
  for (const auto& c : cases)
    check([&](Ctx& cx, const Inputs& in) {
      return ops::attention(cx, in[0], in[1], in[2],
                            {.heads = 4, .kv_heads = 2, .scale = 0.6f, .mask = {.causal = c.causal, .window = c.window, .chunk = c.chunk},
                             .softcap = c.softcap, .alibi = c.alibi ? ops::upload(cx, kSlopes) : nullptr});
    }, {random(8, 12), random(8, 6), random(8, 6)});
}

TEST_F(Gradient, LatentAttention) {
  two_sequences();
  const Param expand = param("expand", 3 * (4 + 2), 5);  // 3 heads: 4 columns without rotation, values of 2
  check([&](Ctx& cx, const Inputs& in) {
    const Tensor latent = ops::columns(cx, in[1], 0, 5), rope = ops::columns(cx, in[1], 5, 2);
    return ops::latent_attention(cx, in[0], latent, rope, {.heads = 3, .value = 2, .scale = 0.4f, .expand = &expand});
  }, {random(8, 3 * 6), random(8, 7)}, {&expand});
}

TEST_F(Gradient, Convolutions) {
  two_sequences();
  const Param weight = param("weight", 5, 3), bias = param("bias", 1, 5), mix = param("mix", 1, 5);
  for (const Param* b : {static_cast<const Param*>(nullptr), &bias}) {
    std::vector<const Param*> params = {&weight};
    if (b) params.push_back(b);
    check([&](Ctx& cx, const Inputs& in) { return ops::causal_conv(cx, in[0], weight, b, {}); }, {random(8, 5)}, params);
  }
  check([&](Ctx& cx, const Inputs& in) { return ops::token_shift(cx, in[0], mix, {}); }, {random(8, 5)}, {&mix});
}

TEST_F(Gradient, LinearRecurrences) {
  two_sequences();
  const Param bias = param("dt_bias", 1, 4), a_log = param("A_log", 1, 4), skip = param("D", 1, 4);
  check([&](Ctx& cx, const Inputs& in) {  // Mamba 2
    const ops::TimeSteps t = ops::time_steps(cx, in[0], bias, a_log, 0.f, 100.f);
    return ops::linear_recurrence(cx, in[1], in[2], in[3], t.log_decay, t.dt, {.heads = 4, .key_heads = 2, .skip = &skip});
  }, {random(8, 4), random(8, 6), random(8, 6), random(8, 8)}, {&bias, &a_log, &skip});
  check([&](Ctx& cx, const Inputs& in) {  // the gated delta rule
    const Tensor decay = ops::time_steps(cx, in[0], bias, a_log, 0.f, 100.f).log_decay;
    return ops::linear_recurrence(cx, in[1], ops::repeat(cx, in[2], 2), in[3], decay, in[4], {.heads = 4, .key_heads = 4, .scale = 0.5f, .delta = true});
  }, {random(8, 4), random(8, 12), random(8, 6, 0.4), random(8, 8), random(8, 4, 0.3)}, {&bias, &a_log});
}

TEST_F(Gradient, SelectiveScan) {
  two_sequences();
  const Param a_log = param("A_log", 5, 3), skip = param("D", 1, 5);
  check([&](Ctx& cx, const Inputs& in) { return ops::selective_scan(cx, in[0], in[1], in[2], in[3], {&a_log, &skip, {}}); },
        {random(8, 5), random(8, 5), random(8, 3), random(8, 3)}, {&a_log, &skip});
}

TEST_F(Gradient, Wkv) {
  two_sequences();
  const Param decay = param("decay", 1, 5), first = param("first", 1, 5);
  check([&](Ctx& cx, const Inputs& in) { return ops::wkv(cx, in[0], in[1], decay, first, {}); }, {random(8, 5), random(8, 5)}, {&decay, &first});
}

// Columns and what joins them are views, of which some overlap and some are never read.
TEST_F(Gradient, Views) {
  const Param a = param("a.weight", 3, 4), b = param("b.weight", 5, 4);
  check([&](Ctx& cx, const Inputs& in) {
    const ops::LinearParam p[] = {{&a, nullptr}, {&b, nullptr}};
    Tensor out[2];
    ops::linear(cx, in[0], p, out);
    const Tensor all = ops::side_by_side(cx, out);
    const Tensor x = ops::repeat(cx, ops::columns(cx, all, 1, 4), 1), y = ops::columns(cx, all, 3, 4);  // x: act_mul may write over it
    const Tensor z = ops::columns(cx, ops::repeat(cx, out[0], 2), 1, 4);
    ops::columns(cx, all, 7, 1);
    return ops::add(cx, ops::act_mul(cx, x, y, Activation::kTanh), z, 0.5f);
  }, {random(3, 4)}, {&a, &b});
  static constexpr ops::ScaledPart kParts[] = {{2, 0.5f}, {1, -3.f}, {3, 1.f}};
  check([&](Ctx& cx, const Inputs& in) { return ops::scale_parts(cx, in[0], kParts); }, {random(3, 6)});
}

TEST_F(Gradient, SequenceMeans) {
  two_sequences();
  check([&](Ctx& cx, const Inputs& in) { return ops::sequence_means(cx, in[0]); }, {random(8, 5)});
}

TEST_F(Gradient, RelativeScores) {
  two_sequences();
  static constexpr int32_t kBucket[] = {2, 0, 1, 1, 2};
  const Param by_head = param("bias", 3, 4);
  check([&](Ctx& cx, const Inputs& in) {
    ops::Relative r{.bucket = ops::upload(cx, kBucket), .reach = 2, .buckets = 3, .by_head = ops::whole_table(cx, by_head)};
    r.by_query = ops::head_products(cx, in[0], in[2], 4, 0.7f);
    r.by_key = ops::head_products(cx, in[1], in[3], 4, 0.4f);
    return ops::attention(cx, in[0], in[1], in[4], {.heads = 4, .kv_heads = 4, .scale = 0.6f, .mask = {.causal = false}, .relative = r});
  }, {random(8, 12), random(8, 12), random(3, 12), random(3, 12), random(8, 8)}, {&by_head});
}

// Queries of two sequences of 5 and 3 over sources of 2 and 4.
TEST_F(Gradient, CrossAttention) {
  two_sequences();
  const int32_t starts[] = {0, 2, 6}, lengths[] = {2, 4};
  check([&](Ctx& cx, const Inputs& in) {
    Ctx source{.kernels = ref_kernels(), .stream = stream_, .arena = arena_, .tape = cx.tape};
    source.batch.packed = {.count = 2, .q_start = starts, .kv_len = lengths, .max_q_len = 4, .max_kv_len = 4};
    cx.source = &source;
    const Tensor y = ops::cross_attention(cx, in[0], in[1], in[2], {.heads = 4, .kv_heads = 2, .scale = 0.6f, .mask = {.causal = false}});
    cx.source = nullptr;
    return y;
  }, {random(8, 12), random(6, 6), random(6, 6)});
}

TEST_F(Gradient, Activations) {
  for (const auto act : {Activation::kSilu, Activation::kGelu, Activation::kGeluTanh, Activation::kTanh, Activation::kSigmoid, Activation::kQuickGelu}) {
    check([&](Ctx& cx, const Inputs& in) { return ops::act_mul(cx, in[0], in[1], act); }, {random(2, 5), random(2, 5)});
    check([&](Ctx& cx, const Inputs& in) { return ops::act_mul(cx, in[0], {}, act); }, {random(2, 5)});
  }
  Tensor away = random(2, 5);  // relu has no derivative at 0
  for (int i = 0; i < 10; ++i) away.view.row<float>(0)[i] += away.view.row<float>(0)[i] > 0 ? 0.1f : -0.1f;
  check([&](Ctx& cx, const Inputs& in) { return ops::act_mul(cx, in[0], {}, Activation::kRelu); }, {away});
  check([&](Ctx& cx, const Inputs& in) { return ops::act_mul(cx, in[0], {}, Activation::kRelu2); }, {away});
  check([&](Ctx& cx, const Inputs& in) { return ops::clamp(cx, in[0], 0.05f); }, {away});
  check([&](Ctx& cx, const Inputs& in) { return ops::softcap(cx, in[0], 1.5f); }, {random(2, 5)});
  check([&](Ctx& cx, const Inputs& in) { return ops::scale(cx, in[0], 0.6f); }, {random(2, 5)});
  for (const int64_t n : {1, 5}) {
    Param factors = param("factors", 1, n);
    factors.kind = ParamKind::kVector;
    check([&](Ctx& cx, const Inputs& in) { return ops::scale_columns(cx, in[0], factors); }, {random(3, 5)}, {&factors});
  }
}

TEST_F(Gradient, ClampedGate) {
  Tensor gate = random(3, 5, 2), up = random(3, 5, 2);
  for (const Tensor* t : {&gate, &up})  // none where the clamp has a corner
    for (int i = 0; i < 15; ++i)
      if (float& x = t->view.row<float>(0)[i]; std::fabs(std::fabs(x) - 1.f) < 0.05f) x *= 1.2f;
  const GateClamp clamp{.limit = 1.f, .up_offset = 1.f};
  check([&](Ctx& cx, const Inputs& in) { return ops::act_mul(cx, in[0], in[1], Activation::kQuickGelu, clamp); }, {gate, up});
}

TEST_F(Gradient, RowCutoff) {
  Tensor x;
  const auto nearest = [&] {  // of a value to where its row is cut off
    double least = INFINITY;
    for (int64_t t = 0; t < x.rows(); ++t) {
      const std::vector<float> row(x.view.row<float>(t), x.view.row<float>(t) + x.cols());
      double mean = 0, variance = 0;
      for (const float v : row) mean += v / 7.0;
      for (const float v : row) variance += (v - mean) * (v - mean) / 7;
      for (const float v : row) least = std::min(least, std::fabs(v - mean - 0.4 * std::sqrt(variance)));
    }
    return least;
  };
  do x = random(3, 7, 2);
  while (nearest() < 0.05);
  check([&](Ctx& cx, const Inputs& in) { return ops::row_cutoff(cx, in[0], 0.4f); }, {x});
}

TEST_F(Gradient, MatchRms) {
  for (const float eps : {1e-5f, 100.f})  // x above the least and below it
    check([&](Ctx& cx, const Inputs& in) { return ops::match_rms(cx, in[0], in[1], eps); }, {random(3, 6), random(3, 6, 2)});
}

// Sequences of 5, 1 and 2 frames.
TEST_F(Gradient, UnfoldRows) {
  static constexpr int32_t kFrames[] = {0, 5, 6, 8}, kHalves[] = {0, 3, 4, 5};
  for (const int32_t stride : {1, 2}) {
    const int32_t* starts = stride == 1 ? kFrames : kHalves;
    check([&](Ctx& cx, const Inputs& in) {
      return ops::unfold_rows(cx, in[0], {.x = {}, .x_start = kFrames, .y_start = starts, .count = 3, .width = 3, .stride = stride, .y = {}}, starts[3]);
    }, {random(8, 4)});
  }
}

// A second layer attends with the keys and values of the first.
TEST_F(Gradient, SharedKeys) {
  two_sequences();
  check([&](Ctx& cx, const Inputs& in) {
    const ops::AttentionParam p{.heads = 4, .kv_heads = 2, .scale = 0.6f, .state = 1};
    const Tensor first = ops::attention(cx, in[0], in[2], in[3], p);
    return ops::add(cx, first, ops::attention(cx, in[1], {}, {}, p), 0.7f);
  }, {random(8, 12), random(8, 12), random(8, 6), random(8, 6)});
}

// Logits whose order no step of the differences changes: of row t, expert (3 e + t) mod E has about e / 2.
TEST_F(Gradient, Routing) {
  constexpr int64_t kRows = 5, kExperts = 8;
  Tensor logits = random(kRows, kExperts, 0.05);
  for (int64_t t = 0; t < kRows; ++t)
    for (int64_t e = 0; e < kExperts; ++e) logits.view.row<float>(t)[(3 * e + t) % kExperts] += 0.5f * static_cast<float>(e) - 1.f;
  Param bias = param("bias", 1, kExperts);
  const RoutingRule rules[] = {{.top_k = 2}, {.top_k = 3, .normalize = true, .scale = 1.5f},
                               {.scoring = Scoring::kSigmoid, .top_k = 3, .normalize = true, .scale = 2.5f, .groups = 4, .top_groups = 2,
                                .group_best = 2},
                               {.scoring = Scoring::kSigmoid, .top_k = 2, .groups = 2, .top_groups = 1},
                               {.scoring = Scoring::kSparseMixer, .top_k = 2, .jitter = 0.17f}};
  for (const RoutingRule& rule : rules)
    for (const Param* b : {static_cast<const Param*>(nullptr), static_cast<const Param*>(&bias)})
      check([&](Ctx& cx, const Inputs& in) { return ops::route(cx, in[0], rule, b).weights; }, {logits});
}

TEST_F(Gradient, Experts) {
  constexpr int64_t kExperts = 4;
  Tensor logits = random(5, kExperts, 0.05);
  for (int64_t t = 0; t < 5; ++t)
    for (int64_t e = 0; e < kExperts; ++e) logits.view.row<float>(t)[(e + t * t) % kExperts] += static_cast<float>(e);
  const Param factors = param("factors", kExperts, 1);
  std::vector<Param> w;  // gate, up, their biases, down of each
  for (int64_t e = 0; e < kExperts; ++e) {
    w.push_back(param("gate", 3, 6)), w.push_back(param("up", 3, 6)), w.push_back(param("gate_bias", 1, 3));
    w.push_back(param("up_bias", 1, 3)), w.push_back(param("down", 6, 3));
  }
  ops::ExpertParam gate, up, down;
  std::vector<const Param*> params = {&factors};
  for (int64_t e = 0; e < kExperts; ++e) {
    const Param* p = &w[5 * e];
    gate.add(p, p + 2), up.add(p + 1, p + 3), down.add(p + 4, nullptr);
    for (int i = 0; i < 5; ++i) params.push_back(p + i);
  }
  check([&](Ctx& cx, const Inputs& in) {
    const ops::Routing r = ops::scale_experts(cx, ops::route(cx, in[1], {.top_k = 2, .normalize = true}, nullptr), factors);
    const ops::ExpertParam *first[] = {&gate, &up}, *second[] = {&down};
    Tensor h[2], y[1];
    ops::expert_linear(cx, in[0], ops::From::kRows, r, first, h);
    ops::expert_linear(cx, ops::act_mul(cx, h[0], h[1], Activation::kTanh), ops::From::kPositions, r, second, y);
    return ops::scale_rows(cx, ops::combine(cx, y[0], r), in[2]);
  }, {random(5, 6, 0.3), logits, random(5, 1)}, params);
}

TEST_F(Gradient, GathersAndEmbedding) {
  static constexpr int32_t kRows[] = {2, 0, 2};
  check([&](Ctx& cx, const Inputs& in) { return ops::gather_rows(cx, in[0], kRows, 3); }, {random(3, 4)});
  const Param table = param("table", 5, 4);
  check([&](Ctx& cx, const Inputs&) { return ops::embedding(cx, table, kRows, 3, 1.7f); }, {}, {&table});
  check([&](Ctx& cx, const Inputs&) { return ops::embedding(cx, table, kRows, 3, 1.f, -1, 2); }, {}, {&table});
}

TEST_F(Gradient, PaddingTakesNone) {
  static constexpr int32_t kIds[] = {1, 0};
  const Param table = param("table", 2, 3);
  Tape tape;
  tape.train(&table);
  Ctx cx = context(&tape);
  const Tensor y = ops::embedding(cx, table, kIds, 2, 1.f, 0);
  const View dy = tape.grad(cx, y);
  for (int i = 0; i < 6; ++i) dy.row<float>(0)[i] = 1;
  tape.backward(cx);
  const View g = tape.param_grad(&table, ref_kernels(), stream_);
  EXPECT_EQ(std::vector<float>(g.row<float>(0), g.row<float>(0) + 6), (std::vector<float>{0, 0, 0, 1, 1, 1}));
}

TEST_F(Gradient, CrossEntropy) {
  static constexpr int32_t kLabels[] = {3, -100, 0};
  Tensor logits = random(3, 5);
  Tape tape;
  Ctx cx = context(&tape);
  tape.track(logits);
  ops::cross_entropy(cx, logits, kLabels, 2);
  const View g = tape.grad(cx, logits);
  const std::vector<float> got(g.row<float>(0), g.row<float>(0) + 15);
  float* x = logits.view.row<float>(0);
  for (int i = 0; i < 15; ++i) {
    const float at = x[i];
    const auto loss = [&](float v) {
      x[i] = v;
      Ctx plain = context(nullptr);
      return ops::cross_entropy(plain, logits, kLabels, 2);
    };
    const double slope = (loss(at + 1e-2f) - loss(at - 1e-2f)) / 2e-2;
    x[i] = at;
    EXPECT_NEAR(got[i], slope, 1e-3) << i;
  }
}

// A row added to the table must be added here, with its backward: by a row of its own, or by rows that are there already.
TEST(KernelTable, EveryRowHasAReferenceAndABackward) {
  const Kernels& k = ref_kernels();
  const auto row = [](auto p) { return reinterpret_cast<const void*>(p); };
  const struct {
    const char* name;
    const void *forward, *backward;
  } rows[] = {
      {"embedding", row(k.embedding), row(k.scatter_rows)},
      {"linear", row(k.linear), row(k.linear_grad_input)},
      {"linear, its weight", row(k.linear), row(k.linear_grad_weight)},
      {"rms_norm", row(k.rms_norm), row(k.rms_norm_grad)},
      {"layer_norm", row(k.layer_norm), row(k.layer_norm_grad)},
      {"rope_table", row(k.rope_table), row(k.rope_table)},  // of positions: nothing to differentiate
      {"rope", row(k.rope), row(k.rope)},                    // the inverse rotation
      {"kv_write", row(k.kv_write), row(k.kv_write)},        // training keeps no state
      {"attention", row(k.attention), row(k.attention_grad)},
      {"latent_attention", row(k.latent_attention), row(k.attention_grad)},  // composed on a tape
      {"head_linear", row(k.head_linear), row(k.head_linear)},               // of absorbed attention, which no tape sees
      {"act_mul", row(k.act_mul), row(k.act_mul_grad)},
      {"axpby", row(k.axpby), row(k.axpby)},
      {"softcap", row(k.softcap), row(k.softcap_grad)},
      {"clamp", row(k.clamp), row(k.clamp_grad)},
      {"row_cutoff", row(k.row_cutoff), row(k.row_cutoff_grad)},
      {"scale_columns", row(k.scale_columns), row(k.scale_columns_grad)},
      {"match_rms", row(k.match_rms), row(k.match_rms_grad)},
      {"position_growth", row(k.position_growth), row(k.position_growth)},  // of positions
      {"unfold_rows", row(k.unfold_rows), row(k.unfold_rows_grad)},
      {"gather_rows", row(k.gather_rows), row(k.scatter_rows)},
      {"routing", row(k.routing), row(k.routing_grad)},
      {"expert_linear", row(k.expert_linear), row(k.linear_grad_input)},  // of each routed expert
      {"combine_rows", row(k.combine_rows), row(k.combine_rows_grad)},
      {"causal_conv", row(k.causal_conv), row(k.causal_conv_grad)},
      {"time_step", row(k.time_step), row(k.time_step_grad)},
      {"linear_recurrence", row(k.linear_recurrence), row(k.linear_recurrence_grad)},
      {"selective_scan", row(k.selective_scan), row(k.selective_scan_grad)},
      {"wkv", row(k.wkv), row(k.wkv_grad)},
      {"cross_entropy", row(k.cross_entropy), row(k.cross_entropy)},  // writes its own gradient
      {"adamw", row(k.adamw), row(k.adamw)},
  };
  for (const auto& r : rows) {
    EXPECT_TRUE(r.forward) << r.name;
    EXPECT_TRUE(r.backward) << r.name;
  }
  // name, host_memory, 5 memory functions, 28 forward and 22 training rows, 2 of packing
  EXPECT_EQ(sizeof(Kernels), 59 * sizeof(void*)) << "a row was added or removed: bring this list up to date";
}

}  // namespace
}  // namespace transom
