// Every family with a language-model head trains by its one definition: for each parameter, a step along its gradient changes the loss as much as the
// gradient says (central differences in F32 weights, reference kernels).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "engine/loaded_model.h"
#include "support/fixture_names.h"
#include "transom/trainer.h"

namespace transom {
namespace {

class FamilyGradient : public testing::TestWithParam<std::string> {};

double length(const std::vector<float>& v) {
  double s = 0;
  for (const float x : v) s += double{x} * x;
  return std::sqrt(s);
}

TEST_P(FamilyGradient, EqualsFiniteDifferences) {
  const Model m = Model::load(test::fixture_path(GetParam()), {.kernels = "ref", .threads = 1});
  const std::vector<std::vector<int32_t>> text = {test::load_golden(GetParam()).cases.at(2).ids};
  std::unique_ptr<Trainer> made;
  try {
    made = std::make_unique<Trainer>(m);
    made->accumulate(text);
  } catch (const Error& e) {
    ASSERT_EQ(e.code(), Code::kUnsupported) << e.what();
    ASSERT_THAT(e.what(), testing::HasSubstr("no gradient yet"));
    GTEST_SKIP() << e.what();
  }
  Trainer& trainer = *made;
  std::vector<std::vector<float>> gradients;
  for (const std::string& name : trainer.params()) gradients.push_back(trainer.gradient(name));
  for (size_t i = 0; i < gradients.size(); ++i) {
    const std::string name = trainer.params()[i];
    const std::vector<float>& g = gradients[i];
    const double slope = length(g);
    const bool unused = slope < 1e-5;  // an expert that no token chose, a key bias without rotation
    Param& p = *m.impl().params.find(name);
    float* w = reinterpret_cast<float*>(const_cast<std::byte*>(static_cast<const std::byte*>(p.weight.view.data)));
    const std::vector<float> original(w, w + g.size());
    const auto difference = [&](double step) {
      double loss[2];
      for (const int side : {0, 1}) {
        for (size_t k = 0; k < g.size(); ++k)
          w[k] = original[k] + static_cast<float>((side ? step : -step) * (unused ? 1 / std::sqrt(static_cast<double>(g.size())) : g[k] / slope));
        loss[side] = trainer.accumulate(text);
      }
      std::copy(original.begin(), original.end(), w);
      return (loss[1] - loss[0]) / (2 * step);
    };
    // Far above rounding and far below the loss's curvature; smaller where a router's choice or a clamp lies within the step.
    const double tolerance = unused ? 1e-3 : 0.02 * slope + 2e-4;
    double d = INFINITY;
    for (const double change : {4e-3, 1e-3, 3e-4, 1e-4}) {
      d = difference(unused ? change : std::min(1e-2, change / slope));
      if (std::fabs(d - (unused ? 0 : slope)) <= tolerance) break;
    }
    EXPECT_NEAR(d, unused ? 0 : slope, tolerance) << name;
  }
}

std::vector<std::string> families() {
  std::vector<std::string> names = test::own_weights("logits");
  for (std::string& name : test::own_weights("seq2seq")) names.push_back(std::move(name));
  return names;
}

INSTANTIATE_TEST_SUITE_P(Fixtures, FamilyGradient, testing::ValuesIn(families()),
                         [](const testing::TestParamInfo<std::string>& info) { return test::as_test_name(info.param); });

}  // namespace
}  // namespace transom
