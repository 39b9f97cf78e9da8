// Every fixture is whole: its arrays exist, have the shape its ids ask for, and logits are large enough to be compared
// absolutely (std >= 1).
#include "support/fixture.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "support/fixture_names.h"

namespace transom::test {
namespace {

TEST(Fixtures, AreWhole) {
  std::set<std::string> kinds;
  std::map<std::string, std::vector<std::string>> by_kind;
  for (const auto& entry : std::filesystem::directory_iterator(fixture_path(""))) {
    const std::string name = entry.path().filename();
    if (!std::filesystem::exists(entry.path() / "golden.json")) continue;
    SCOPED_TRACE(name);
    const Golden golden = load_golden(name);
    const std::string kind = golden.json.at("kind");
    kinds.insert(kind);
    if (!golden.json.contains("base")) by_kind[kind].push_back(name);
    EXPECT_EQ(golden.json.at("name"), name);
    if (kind == "generate" || kind == "translate") {  // read by the tests of beam search and of translation
      EXPECT_FALSE(golden.json.at(kind == "generate" ? "generate" : "texts").empty());
      continue;
    }
    ASSERT_FALSE(golden.cases.empty());
    for (const GoldenCase& c : golden.cases) {
      const Npy<float>& rows = kind == "embeddings" ? c.hidden : c.logits;
      ASSERT_EQ(rows.shape.size(), 2u);
      if (kind == "heads") {  // a row a token or one of the text; the spread is that of all cases together
        EXPECT_TRUE(rows.rows() == 1 || rows.rows() == static_cast<int64_t>(c.ids.size()));
        EXPECT_GE(golden.json.at("logits_std").get<double>(), 0.9);
        continue;
      }
      ASSERT_EQ(rows.rows(), static_cast<int64_t>(c.ids.size()));
      double sum = 0, squares = 0;
      for (float v : rows.data) sum += v, squares += double{v} * v;
      const double n = static_cast<double>(rows.data.size()), mean = sum / n;
      EXPECT_GT(std::sqrt(squares / n - mean * mean), kind == "logits" ? 0.9 : 0.3);
      // llama.cpp's converter writes no pooling for the body of a masked-LM model: there is only the hidden state.
      if (name.starts_with("gguf-") && name.ends_with("-mlm")) continue;
      if (kind == "embeddings") {
        ASSERT_EQ(c.mean.rows(), rows.cols());
        double norm = 0;
        for (float v : c.mean.data) norm += double{v} * v;
        EXPECT_NEAR(norm, 1, 1e-5);
      }
    }
  }
  for (auto& [kind, names] : by_kind) std::sort(names.begin(), names.end());
  for (const std::string& kind : kinds) EXPECT_EQ(fixtures(kind), by_kind[kind]) << "listed without parsing";
  EXPECT_EQ(kinds, (std::set<std::string>{"embeddings", "generate", "heads", "logits", "seq2seq", "translate"}));
}

TEST(Fixtures, RealModelGoldensAreWhole) {
  for (const std::string name : {"smollm2", "gemma3-270m"}) {
    SCOPED_TRACE(name);
    const Json logits = read_json_file(fixture_path(name) + "/logits.json");
    const auto sample = read_npy<float>(fixture_path(name) + "/sample.npy");
    const auto top = read_npy<float>(fixture_path(name) + "/top.npy");
    ASSERT_EQ(static_cast<size_t>(sample.rows()), logits.at("cases").size());
    ASSERT_EQ(top.rows(), sample.rows());
    for (int64_t i = 0; i < top.rows(); ++i) {
      const auto ids = logits["cases"][static_cast<size_t>(i)].at("top_ids").get<std::vector<int64_t>>();
      ASSERT_EQ(static_cast<int64_t>(ids.size()), top.cols());
      const int64_t stride = logits.at("stride");
      for (int64_t j = 0; j < top.cols(); ++j)
        if (ids[static_cast<size_t>(j)] % stride == 0)
          EXPECT_EQ(top.row(i)[j], sample.row(i)[ids[static_cast<size_t>(j)] / stride]);
    }
    EXPECT_EQ(read_npy<float>(fixture_path(name) + "/positions.npy").rows(),
              static_cast<int64_t>(logits.at("positions_ids").size()));
    EXPECT_EQ(read_npy<float>(fixture_path(name) + "/kl_nll.npy").rows(), 1999);
    EXPECT_GT(read_npy<int32_t>(fixture_path(name) + "/kl_ids.npy").rows(), 2000);
    const Json greedy = read_json_file(fixture_path(name) + "/greedy.json");
    ASSERT_EQ(greedy.at("cases").size(), 20u);
    for (const Json& c : greedy["cases"]) EXPECT_EQ(c.at("tokens").size(), 64u);
  }
}

TEST(Npy, RefusesAnotherType) {
  const std::string file = fixture_path("llama-mha/logits_0.npy");
  EXPECT_EQ(read_npy<float>(file).shape, (std::vector<int64_t>{1, 112}));
  EXPECT_THROW(read_npy<int64_t>(file), std::runtime_error);
  EXPECT_THROW(read_npy<float>(fixture_path("llama-mha/config.json")), std::runtime_error);
}

}  // namespace
}  // namespace transom::test
