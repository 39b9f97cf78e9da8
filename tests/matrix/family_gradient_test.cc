// Every family trains by its one definition: decoders, encoders with their heads and without, and encoder-decoders. A loss that is
// linear in the outputs, Σ factor · output with fixed random factors over all rows of several packed texts, has gradients
// on the tape; for each parameter they say how much inference's outputs change (central differences, reference kernels).
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include "engine/runner.h"
#include "ops/tape.h"
#include "support/fixture_names.h"
#include "support/run_case.h"
#include "train/trained_weights.h"

namespace transom {
namespace {

constexpr size_t kLongest = 40;  // tokens of a text, where a fixture has several

// The loss of a fixture's shorter texts, all in one step.
class Loss {
 public:
  explicit Loss(const std::string& fixture)
      : golden_(test::load_golden(fixture)),
        model_(Model::load(test::fixture_path(fixture), {.dtype = "float32", .kernels = "ref", .threads = 1})),
        weights_(own_weights(model_.impl())),
        runner_(model_.impl(), 16, 0) {
    const Json padding = model_.impl().config_json.value("pad_token_id", Json());
    if (padding.is_number()) leave_out(padding.get<int32_t>());
    for (const test::GoldenCase& c : golden_.cases)
      if (c.ids.size() <= kLongest || golden_.cases.size() == 1)
        items_.push_back({.ids = c.ids, .token_types = c.type_ids, .want = StepItem::Want::kAll, .source = test::source_of(c)});
    std::mt19937 random(1);
    std::normal_distribution<float> normal;
    factors_.resize(outputs().size());
    for (float& f : factors_) f = normal(random) / std::sqrt(static_cast<float>(factors_.size()));
  }

  const std::vector<TrainedWeight>& weights() const { return weights_; }

  double value() {
    const std::span<const float> y = outputs();
    double sum = 0;
    for (size_t i = 0; i < y.size(); ++i) sum += double{factors_[i]} * y[i];
    return sum;
  }

  // The gradient of each weight.
  std::vector<std::vector<float>> gradients() {
    Tape tape;
    for (const TrainedWeight& w : weights_) tape.train(w.param);
    const double value = runner_.backward(items_, tape, [&](Ctx& cx, const Tensor& y) {
      EXPECT_EQ(static_cast<size_t>(y.rows() * y.cols()), factors_.size());
      const View dy = cx.tape->grad(cx, y);
      double sum = 0;
      for (int64_t i = 0; i < y.rows() * y.cols(); ++i) {
        dy.row<float>(0)[i] = factors_[i];
        sum += double{factors_[i]} * y.view.row<float>(0)[i];
      }
      return sum;
    });
    EXPECT_NEAR(value, this->value(), 1e-5);
    std::vector<std::vector<float>> out;
    Stream stream;
    for (const TrainedWeight& w : weights_) {
      const View g = tape.param_grad(w.param, *model_.impl().kernels, stream);
      out.emplace_back(g.row<float>(0), g.row<float>(0) + w.size());
    }
    return out;
  }

 private:
  // The padding token's embedding takes no gradient, by definition, whatever it changes.
  void leave_out(int32_t padding) {
    for (test::GoldenCase& c : golden_.cases)
      for (std::vector<int32_t>* ids : {&c.ids, &c.source}) std::replace(ids->begin(), ids->end(), padding, padding > 0 ? padding - 1 : 1);
  }

  std::span<const float> outputs() {
    return model_.head().outputs > 0 ? runner_.logits(items_) : runner_.hidden(items_);
  }

  test::Golden golden_;
  Model model_;
  std::vector<TrainedWeight> weights_;
  Runner runner_;
  std::vector<StepItem> items_;
  std::vector<float> factors_;
};

// Along the gradient g, where its length shows, and a little along every element, where what it lacks shows.
std::vector<double> direction(const std::vector<float>& g, double length, std::mt19937& random) {
  std::vector<double> d(g.size());
  for (size_t i = 0; i < g.size(); ++i) d[i] = (random() % 2 ? 1. : -1.) / 3 + (length > 0 ? g[i] / length : 0);
  return d;
}

class FamilyGradient : public testing::TestWithParam<std::string> {};

TEST_P(FamilyGradient, EqualsFiniteDifferences) {
  Loss loss(GetParam());
  const std::vector<std::vector<float>> gradients = loss.gradients();
  std::mt19937 random(2);
  for (size_t i = 0; i < gradients.size(); ++i) {
    const TrainedWeight& w = loss.weights()[i];
    const std::vector<float>& g = gradients[i];
    double slope = 0, expected = 0;
    for (const float x : g) slope += double{x} * x;
    slope = std::sqrt(slope);
    const std::vector<double> d = direction(g, slope, random);
    for (size_t k = 0; k < g.size(); ++k) expected += d[k] * g[k];
    const std::vector<float> original(w.data(), w.data() + g.size());
    const auto difference = [&](double step) {
      double value[2];
      for (const int side : {0, 1}) {
        for (size_t k = 0; k < g.size(); ++k) w.data()[k] = original[k] + static_cast<float>((side ? step : -step) * d[k]);
        value[side] = loss.value();
      }
      std::copy(original.begin(), original.end(), w.data());
      return (value[1] - value[0]) / (2 * step);
    };
    // Far above rounding and far below the curvature; smaller where a corner (relu, a clamp, a router's choice) lies within the step.
    const double tolerance = 0.01 * slope + 1e-4;
    double got = INFINITY;
    for (const double change : {4e-3, 1e-3, 3e-4, 1e-4, 3e-5}) {
      got = difference(std::min(1e-2, change / slope));
      if (std::fabs(got - expected) <= tolerance) break;
    }
    EXPECT_NEAR(got, expected, tolerance) << w.param->name;
  }
}

std::vector<std::string> families() {
  std::vector<std::string> names;
  for (const char* kind : {"logits", "embeddings", "heads", "seq2seq"})
    for (std::string& name : test::own_weights(kind)) names.push_back(std::move(name));
  return names;
}

INSTANTIATE_TEST_SUITE_P(Fixtures, FamilyGradient, testing::ValuesIn(families()),
                         [](const testing::TestParamInfo<std::string>& info) { return test::as_test_name(info.param); });

}  // namespace
}  // namespace transom
