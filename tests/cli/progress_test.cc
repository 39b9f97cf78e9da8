// The progress of long work as a terminal and a log see it.
#include "cli/progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace transom::cli {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

// What is written when the work says where it is at the given times.
std::string written(bool terminal, const std::vector<double>& times) {
  char* text = nullptr;
  size_t size = 0;
  std::FILE* out = open_memstream(&text, &size);
  double now = 100;
  {
    Progress p("Loading", out, terminal, [&] { return now; });
    for (size_t i = 0; i < times.size(); ++i) {
      now = 100 + times[i];
      p.at(static_cast<int64_t>(i + 1) * 1'000'000'000, 4'000'000'000);
    }
  }
  std::fclose(out);
  std::string s(text, size);
  std::free(text);
  return s;
}

TEST(Progress, SaysNothingOfWorkWithinASecond) {
  EXPECT_EQ(written(true, {0.1, 0.5, 0.99}), "");
  EXPECT_EQ(written(false, {0.1, 0.5, 0.99}), "");
}

TEST(Progress, DrawsABarOnATerminalAndTakesItAway) {
  const std::string s = written(true, {0.5, 1.5, 1.55});
  EXPECT_THAT(s, HasSubstr("\r\x1b[KLoading [###############               ]  50 % (2.0 GB of 4.0 GB)"));
  EXPECT_EQ(s.find("75 %"), std::string::npos) << "redrawn within a tenth of a second";
  EXPECT_THAT(s, EndsWith("\r\x1b[K"));
}

TEST(Progress, WritesPlainLinesIntoALog) {
  EXPECT_EQ(written(false, {1.5, 5, 12}), "Loading:  25 % (1.0 GB of 4.0 GB)\nLoading:  75 % (3.0 GB of 4.0 GB)\n");
}

}  // namespace
}  // namespace transom::cli
