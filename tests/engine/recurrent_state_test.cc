// Recurrent state between steps and requests: slots are handed out again with whatever they hold, a step that fails half way
// leaves a sequence that is refused until it is released, and training, which keeps none, gives the same loss.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/runner.h"
#include "support/fixture.h"
#include "transom/engine.h"
#include "transom/trainer.h"

namespace transom {
namespace {

using Want = StepItem::Want;

Model load(const char* name) { return Model::load(test::fixture_path(name), {.kernels = "ref", .threads = 2}); }

std::vector<float> step(Runner& r, SequenceState& s, std::span<const int32_t> ids) {
  const StepItem item{.state = &s, .ids = ids, .want = Want::kAll};
  const auto rows = r.logits({&item, 1});
  return {rows.begin(), rows.end()};
}

const std::vector<int32_t> kIds = {5, 17, 3, 90, 41, 8, 8, 61};

class RecurrentState : public testing::TestWithParam<const char*> {};

TEST_P(RecurrentState, ASlotServesTheNextSequence) {
  const Model m = load(GetParam());
  Runner r(m.impl(), 16, 0);
  SequenceState first, second;
  const std::vector<float> want = step(r, first, kIds);
  const int64_t held = r.state_bytes();
  EXPECT_GT(held, 0);
  r.release(first);
  EXPECT_EQ(step(r, second, kIds), want);
  EXPECT_EQ(r.state_bytes(), held);
  // More sequences than slots: what is kept moves with them.
  std::vector<SequenceState> more(5);
  for (SequenceState& s : more) step(r, s, std::span(kIds).first(3));
  for (SequenceState& s : more) {
    const std::vector<float> rest = step(r, s, std::span(kIds).subspan(3));
    EXPECT_EQ(rest, std::vector<float>(want.end() - static_cast<int64_t>(rest.size()), want.end()));
  }
}

TEST_P(RecurrentState, AStepThatFailsTearsIt) {
  const Model m = load(GetParam());
  Runner r(m.impl(), 16, 0);
  SequenceState s;
  const std::vector<float> want = step(r, s, kIds);
  r.observer = [](std::string_view name, const Tensor&) {
    if (name == "layers.0") throw Error(Code::kInternal, "stop", "test");
  };
  EXPECT_THROW(step(r, s, kIds), Error);
  r.observer = nullptr;
  try {
    step(r, s, kIds);
    FAIL() << "took a step from a torn state";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("half advanced"));
  }
  r.release(s);
  EXPECT_EQ(step(r, s, kIds), want);
}

// The sum of what the rows but the last give for the next token, -log of its probability.
double loss(const std::vector<float>& logits, std::span<const int32_t> ids) {
  const size_t vocab = logits.size() / ids.size();
  double sum = 0;
  for (size_t t = 0; t + 1 < ids.size(); ++t) {
    double total = 0;
    for (size_t i = 0; i < vocab; ++i) total += std::exp(double{logits[t * vocab + i]});
    sum += std::log(total) - logits[t * vocab + ids[t + 1]];
  }
  return sum;
}

TEST_P(RecurrentState, TrainingNeedsNone) {
  const std::vector<TrainExample> texts = {{.ids = kIds}, {.ids = {9, 4, 70}}};
  const Model m = load(GetParam());
  Runner r(m.impl(), 16, 0);
  double want = 0;
  for (const TrainExample& text : texts) {
    SequenceState s;
    want += loss(step(r, s, text.ids), text.ids);
    r.release(s);
  }
  Trainer trainer(load(GetParam()), {});
  EXPECT_NEAR(trainer.accumulate(texts), want / 9, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, RecurrentState, testing::Values("qwen3-next", "mamba", "mamba2", "falcon-h1", "lfm2", "rwkv"),
                         [](const auto& info) {
                           std::string s = info.param;
                           std::replace(s.begin(), s.end(), '-', '_');
                           return s;
                         });

}  // namespace
}  // namespace transom
