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

// The largest difference, relative to the largest golden value of the tensor; one that is zero but for rounding (the gradient of a
// bias on keys) counts as 1e-3.
double relative(const std::vector<float>& ours, const std::vector<float>& want) {
  EXPECT_EQ(ours.size(), want.size());
  double d = 0, top = 1e-3;
  for (size_t i = 0; i < std::min(ours.size(), want.size()); ++i) {
    d = std::max(d, std::fabs(double{ours[i]} - want[i]));
    top = std::max(top, std::fabs(double{want[i]}));
  }
  return d / top;
}

Matrix matrix(const test::Npy<float>& a) {
  return a.data.empty() ? Matrix{} : Matrix{.rows = a.shape[0], .cols = a.shape[1], .values = a.data};
}

// What a fixture's train.json learns: texts, or cases of its golden.json.
std::vector<TrainExample> examples(const std::string& name) {
  const Json j = read_json_file(test::fixture_path(name) + "/train.json");
  std::vector<TrainExample> out;
  if (j.contains("sequences"))
    for (const Json& ids : j["sequences"]) out.push_back({.ids = ids.get<std::vector<int32_t>>()});
  const test::Golden golden = j.contains("cases") ? test::load_golden(name) : test::Golden{};
  if (j.contains("cases"))
    for (const Json& i : j["cases"]) {
      const test::GoldenCase& c = golden.cases.at(i.get<size_t>());
      out.push_back({.ids = c.ids, .source = c.source, .features = matrix(c.features)});
    }
  return out;
}

class Training : public testing::TestWithParam<std::string> {};

TEST_P(Training, GradientsEqualPyTorchs) {
  const std::string dir = test::fixture_path(GetParam());
  const Json golden_json = read_json_file(dir + "/train.json");
  Trainer t(load(GetParam()));
  EXPECT_NEAR(t.accumulate(examples(GetParam())), golden_json["loss"][0].get<double>(), 1e-5);
  const auto source = open_checkpoint(dir + "/" + golden_json["gradients"].get<std::string>());
  for (const std::string& name : t.params()) EXPECT_LT(relative(t.gradient(name), golden(*source, name)), 1e-4) << name;
  EXPECT_EQ(source->entries().size(), t.params().size());  // what PyTorch does not train, nor do we
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Training, testing::Values("llama-bias", "llama-tied", "gemma3", "gemma3n", "t5", "mbart", "whisper"),
                         [](const auto& info) {
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
  const std::vector<TrainExample> texts = examples("llama-bias");
  for (int step = 1; step <= 3; ++step) {
    EXPECT_NEAR(t.accumulate(texts), j["loss"][step - 1].get<double>(), 1e-3);
    t.step();
    const auto it = j["weights"].find(std::to_string(step));
    if (it == j["weights"].end()) continue;
    const auto source = open_checkpoint(dir + "/" + it->get<std::string>());
    for (const std::string& name : t.params()) EXPECT_LT(relative(t.weight(name), golden(*source, name)), 1e-3) << name << " after " << step;
  }
}

TEST(Training, LearnsAShortText) {
  Trainer t(load("llama-mha"), {.learning_rate = 1e-2, .weight_decay = 0});
  const std::vector<TrainExample> text = {{.ids = {5, 17, 3, 60, 22, 22, 8, 41, 9, 70, 12, 33, 5, 17, 80, 2}}};
  double loss = t.accumulate(text);
  EXPECT_GT(loss, 1.0);
  for (int i = 0; i < 200 && loss >= 0.1; ++i) {
    t.step();
    loss = t.accumulate(text);
  }
  EXPECT_LT(loss, 0.1);
}

// Two sources, and what is to be said of each.
TEST(Training, LearnsToTranslate) {
  Trainer t(load("t5"), {.learning_rate = 1e-2, .weight_decay = 0});
  const std::vector<TrainExample> pairs = {{.ids = {0, 40, 12, 77, 9, 1}, .source = {5, 17, 3, 60}}, {.ids = {0, 8, 8, 31, 1}, .source = {22, 41, 9, 70, 12}}};
  double loss = t.accumulate(pairs);
  EXPECT_GT(loss, 1.0);
  for (int i = 0; i < 200 && loss >= 0.1; ++i) {
    t.step();
    loss = t.accumulate(pairs);
  }
  EXPECT_LT(loss, 0.1);
}

// A prompt's tokens are read and not learned: what counts is the mean over the rest.
TEST(Training, CountsWhatItIsTold) {
  Trainer t(load("llama-mha"));
  const std::vector<int32_t> ids = {5, 17, 3, 60, 22};
  const auto loss = [&](std::vector<bool> counted) { return t.accumulate(std::vector<TrainExample>{{.ids = ids, .counted = std::move(counted)}}); };
  const double all = loss({}), first = loss({false, true, true, false, false}), last = loss({true, false, false, true, true});
  EXPECT_NEAR(all, (first + last) / 2, 1e-6);
  EXPECT_GT(std::fabs(first - last), 1e-3);
  EXPECT_THROW(loss({false, true}), Error);
  EXPECT_THROW(loss({true, false, false, false, false}), Error);  // nothing foretells the first
}

TEST(Training, LeavesBuffersAlone) {
  Trainer t(load("mbart"));
  for (const std::string& name : t.params()) EXPECT_NE(name, "final_logits_bias");
  EXPECT_THROW(t.gradient("final_logits_bias"), Error);
}

TEST(Training, RefusesWhatItCannotTrain) {
  const auto refused = [](const char* model, TrainExample e) { EXPECT_THROW(Trainer(load(model)).accumulate({&e, 1}), Error) << model; };
  EXPECT_THROW(Trainer{load("bert")}, Error);
  refused("llama-mha", {.ids = {1}});
  refused("llama-mha", {.ids = {1, 100000}});
  refused("llama-mha", {.ids = {1, 2}, .source = {3}});
  refused("gpt2", {.ids = std::vector<int32_t>(1000, 1)});  // more than it has positions for
  refused("t5", {.ids = {0, 2}});
  refused("t5", {.ids = {0, 2}, .source = {100000}});
  refused("whisper", {.ids = {0, 2}, .source = {3}});
  refused("whisper", {.ids = {0, 2}, .features = {.rows = 4, .cols = 3, .values = std::vector<float>(12)}});
}

}  // namespace
}  // namespace transom
