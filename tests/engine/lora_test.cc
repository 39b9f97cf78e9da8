// LoRA: PEFT adapter directories change the logits as peft does, alone and row by row in a mixed batch.
#include <gtest/gtest.h>

#include <cmath>

#include "support/fixture.h"
#include "transom/engine.h"

namespace transom {
namespace {

const std::vector<std::string> kAdapters = {"lora-all", "lora-rslora", "lora-pattern"};

double largest_difference(std::span<const float> a, std::span<const float> b) {
  EXPECT_EQ(a.size(), b.size());
  double d = 0;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) d = std::max(d, std::fabs(double{a[i]} - b[i]));
  return d;
}

Model load_with_adapters() {
  Model m = Model::load(test::fixture_path("llama-tied"), {.kernels = "ref", .threads = 2});
  for (const std::string& a : kAdapters) m.load_adapter(a, test::fixture_path(a));
  return m;
}

TEST(Lora, LogitsEqualPefts) {
  Engine engine(load_with_adapters());
  for (const std::string& a : kAdapters)
    for (const test::GoldenCase& c : test::load_golden(a).cases) {
      EXPECT_LT(largest_difference(engine.logits(c.ids, 0, Engine::Rows::kAll, a).values, c.logits.data), 1e-4) << a;
      // The test would pass without any adapter if the fixtures' factors were small: they are not.
      EXPECT_GT(largest_difference(engine.logits(c.ids).values, c.logits.data), 1e-2) << a;
    }
}

TEST(Lora, MixedBatchEqualsAlone) {
  Engine engine(load_with_adapters());
  std::vector<std::vector<int32_t>> texts;
  std::vector<std::string> adapters = {"", "lora-all", "lora-all", "lora-pattern", "", "lora-rslora"};
  std::vector<float> expected;
  for (size_t i = 0; i < adapters.size(); ++i) {
    texts.push_back({static_cast<int32_t>(i + 3), 17, static_cast<int32_t>(40 + i), 9});
    texts.back().resize(2 + i % 3);
    const Matrix alone = engine.logits(texts[i], 0, Engine::Rows::kAll, adapters[i]);
    expected.insert(expected.end(), alone.values.begin(), alone.values.end());
  }
  std::vector<Engine::Feed> feeds;
  for (size_t i = 0; i < adapters.size(); ++i)
    feeds.push_back({.sequence = engine.open(adapters[i]), .ids = texts[i], .rows = Engine::Rows::kAll});
  const std::span<const float> got = engine.forward(feeds).values;
  EXPECT_EQ(std::vector<float>(got.begin(), got.end()), expected);
}

TEST(Lora, BadAdaptersAreNamed) {
  Model m = Model::load(test::fixture_path("llama-mha"), {.kernels = "ref", .threads = 1});
  EXPECT_THROW(m.load_adapter("x", test::fixture_path("no-such-directory")), Error);
  EXPECT_THROW(Engine(m).open("x"), Error);
  m = Model::load(test::fixture_path("bert"), {.kernels = "ref", .threads = 1});
  try {
    m.load_adapter("x", test::fixture_path("lora-all"));
    FAIL() << "an adapter of another model was taken";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("expected the name of a linear layer"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace transom
