// The C++ API's example: it says what the program says, built in the tree and against the installed library.
#include <gtest/gtest.h>

#include <filesystem>

#include "cli/program.h"

namespace transom {
namespace {

const std::string kModel = TRANSOM_SOURCE_DIR "/tests/fixtures/llama-chat";

class Example : public testing::TestWithParam<std::string> {};

TEST_P(Example, CompletesAsTheProgramDoes) {
  if (!std::filesystem::exists(GetParam())) GTEST_SKIP() << "built by scripts/setup --tests";
  const Result program = run_transom({"generate", kModel, "-p", "Hello", "--temperature", "0", "--max-tokens", "24"});
  const Result example = run_program(GetParam(), {kModel, "Hello"});
  EXPECT_EQ(example.code, 0) << example.err;
  EXPECT_EQ(example.out, program.out);
  EXPECT_EQ(run_program(GetParam(), {"/no/such/model", "Hello"}).code, 1);
}

INSTANTIATE_TEST_SUITE_P(Builds, Example,
                         testing::Values(TRANSOM_EXAMPLE, TRANSOM_INSTALLED "/cmake/complete",
                                         TRANSOM_INSTALLED "/pkgconfig/complete"),
                         [](const auto& info) { return std::string(info.index == 0   ? "InTheTree"
                                                                   : info.index == 1 ? "CMakePackage"
                                                                                     : "PkgConfig"); });

}  // namespace
}  // namespace transom
