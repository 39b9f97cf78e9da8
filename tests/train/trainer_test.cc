// Training is a mode of the same definitions: losses, gradients and AdamW steps against PyTorch's (train.json), and a short
// text learned by heart.
#include "transom/trainer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "checkpoint/source.h"
#include "support/fixture.h"
#include "tensor/quant.h"

namespace transom {
namespace {

Model load(const std::string& name) { return Model::load(test::fixture_path(name), {.kernels = "ref", .threads = 2}); }

std::vector<float> golden(const TensorSource& source, const std::string& name) {
  const TensorEntry& e = source.at(name);
  std::vector<float> v(e.bytes / info(e.dtype).bytes);
  dequantize_row(e.dtype, TensorSource::data(e).data(), v.data(), static_cast<int64_t>(v.size()));
  return v;
}

// The largest difference, relative to the largest golden value of the tensor.
double relative(const std::vector<float>& ours, const std::vector<float>& want) {
  EXPECT_EQ(ours.size(), want.size());
  double d = 0, top = 1e-12;
  for (size_t i = 0; i < std::min(ours.size(), want.size()); ++i) {
    d = std::max(d, std::fabs(double{ours[i]} - want[i]));
    top = std::max(top, std::fabs(double{want[i]}));
  }
  return d / top;
}

class Training : public testing::TestWithParam<std::string> {};

TEST_P(Training, GradientsEqualPyTorchs) {
  const std::string dir = test::fixture_path(GetParam());
  const Json golden_json = read_json_file(dir + "/train.json");
  Trainer t(load(GetParam()));
  const auto sequences = golden_json["sequences"].get<std::vector<std::vector<int32_t>>>();
  EXPECT_NEAR(t.accumulate(sequences), golden_json["loss"][0].get<double>(), 1e-5);
  const auto source = open_checkpoint(dir + "/" + golden_json["gradients"].get<std::string>());
  for (const std::string& name : t.params()) EXPECT_LT(relative(t.gradient(name), golden(*source, name)), 1e-4) << name;
  EXPECT_GE(source->entries().size(), t.params().size());
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Training, testing::Values("llama-bias", "llama-tied", "gemma3"), [](const auto& info) {
  std::string s = info.param;
  std::replace(s.begin(), s.end(), '-', '_');
  return s;
});

TEST(AdamW, StepsEqualPyTorchs) {
  const std::string dir = test::fixture_path("llama-bias");
  const Json j = read_json_file(dir + "/train.json");
  const Json& o = j["optimizer"];
  Trainer t(load("llama-bias"), {.learning_rate = o["lr"], .beta1 = o["betas"][0], .beta2 = o["betas"][1], .epsilon = o["eps"],
                                 .weight_decay = o["weight_decay"]});
  const auto sequences = j["sequences"].get<std::vector<std::vector<int32_t>>>();
  for (int step = 1; step <= 3; ++step) {
    EXPECT_NEAR(t.accumulate(sequences), j["loss"][step - 1].get<double>(), 1e-3);
    t.step();
    const auto it = j["weights"].find(std::to_string(step));
    if (it == j["weights"].end()) continue;
    const auto source = open_checkpoint(dir + "/" + it->get<std::string>());
    for (const std::string& name : t.params()) EXPECT_LT(relative(t.weight(name), golden(*source, name)), 1e-3) << name << " after " << step;
  }
}

TEST(Training, LearnsAShortText) {
  Trainer t(load("llama-mha"), {.learning_rate = 1e-2, .weight_decay = 0});
  const std::vector<std::vector<int32_t>> text = {{5, 17, 3, 60, 22, 22, 8, 41, 9, 70, 12, 33, 5, 17, 80, 2}};
  double loss = t.accumulate(text);
  EXPECT_GT(loss, 1.0);
  for (int i = 0; i < 200 && loss >= 0.1; ++i) {
    t.step();
    loss = t.accumulate(text);
  }
  EXPECT_LT(loss, 0.1);
}

TEST(Training, RefusesWhatItCannotTrain) {
  EXPECT_THROW(Trainer{load("bert")}, Error);
  EXPECT_THROW(Trainer(load("llama-mha")).accumulate(std::vector<std::vector<int32_t>>{{1}}), Error);
  EXPECT_THROW(Trainer(load("llama-mha")).accumulate(std::vector<std::vector<int32_t>>{{1, 100000}}), Error);
}

}  // namespace
}  // namespace transom
