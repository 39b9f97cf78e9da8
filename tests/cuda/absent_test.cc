// A build without CUDA kernels says so when it is asked for them.
#include <gtest/gtest.h>

#include "base/error.h"
#include "kernels/kernels.h"

namespace transom {
namespace {

TEST(CudaAbsent, TheBuildIsNamed) {
  try {
    kernels_by_name("cuda");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kUnsupported);
    EXPECT_NE(std::string(e.what()).find("expected CUDA kernels, got a build without them"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace transom
