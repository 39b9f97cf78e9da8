// Model::load as a caller sees it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "support/fixture.h"
#include "transom/model.h"

namespace transom {
namespace {

TEST(Load, TellsHowFarItIs) {
  std::vector<int64_t> done;
  int64_t all = 0;
  ModelOptions options{.kernels = "ref", .threads = 1};
  options.progress = [&](int64_t d, int64_t total) { done.push_back(d), all = total; };
  Model::load(test::fixture_path("llama-mha"), options);
  ASSERT_GT(done.size(), 10u);
  EXPECT_TRUE(std::is_sorted(done.begin(), done.end()));
  EXPECT_EQ(done.back(), all);
  EXPECT_GT(all, 10000);
}

}  // namespace
}  // namespace transom
