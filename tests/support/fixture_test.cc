// Every fixture is whole: its arrays exist, have the shape its ids ask for, and logits are large enough to be compared
// absolutely (std >= 1).
#include "support/fixture.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <set>

namespace transom::test {
namespace {

TEST(Fixtures, AreWhole) {
  std::set<std::string> kinds;
  for (const auto& entry : std::filesystem::directory_iterator(fixture_path(""))) {
    const std::string name = entry.path().filename();
    if (!std::filesystem::exists(entry.path() / "golden.json")) continue;
    SCOPED_TRACE(name);
    const Golden golden = load_golden(name);
    const std::string kind = golden.json.at("kind");
    kinds.insert(kind);
    EXPECT_EQ(golden.json.at("name"), name);
    ASSERT_FALSE(golden.cases.empty());
    for (const GoldenCase& c : golden.cases) {
      const Npy<float>& rows = kind == "logits" ? c.logits : c.hidden;
      ASSERT_EQ(rows.shape.size(), 2u);
      ASSERT_EQ(rows.rows(), static_cast<int64_t>(c.ids.size()));
      double sum = 0, squares = 0;
      for (float v : rows.data) sum += v, squares += double{v} * v;
      const double n = static_cast<double>(rows.data.size()), mean = sum / n;
      EXPECT_GT(std::sqrt(squares / n - mean * mean), kind == "logits" ? 0.9 : 0.3);
      if (kind == "embeddings") {
        ASSERT_EQ(c.mean.rows(), rows.cols());
        double norm = 0;
        for (float v : c.mean.data) norm += double{v} * v;
        EXPECT_NEAR(norm, 1, 1e-5);
      }
    }
  }
  EXPECT_EQ(kinds, (std::set<std::string>{"embeddings", "logits"}));
}

TEST(Npy, RefusesAnotherType) {
  const std::string file = fixture_path("llama-mha/logits_0.npy");
  EXPECT_EQ(read_npy<float>(file).shape, (std::vector<int64_t>{1, 112}));
  EXPECT_THROW(read_npy<int64_t>(file), std::runtime_error);
  EXPECT_THROW(read_npy<float>(fixture_path("llama-mha/config.json")), std::runtime_error);
}

}  // namespace
}  // namespace transom::test
