// Errors carry a code and read as one line: context, what was expected, what was found.
#include "base/error.h"

#include <gtest/gtest.h>

#include "base/json.h"

namespace transom {
namespace {

TEST(Error, MessageNamesContext) {
  try {
    fail(Code::kCorrupt, "model.safetensors", "expected {} bytes, got {}", 8, 3);
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kCorrupt);
    EXPECT_STREQ(e.what(), "model.safetensors: expected 8 bytes, got 3");
    return;
  }
  FAIL() << "fail() returned";
}

TEST(Error, QuotedTextIsOneBoundedLine) {
  EXPECT_EQ(quote("a\nb\x7f"), "'a?b?'");
  EXPECT_EQ(quote("\xc3\xa9\xff\xc3"), "'\xc3\xa9?" "?'");
  EXPECT_EQ(quote("\xed\xa0\x80"), "'?" "?" "?'");  // a surrogate
  EXPECT_EQ(quote(std::string(500, 'x'), 3), "'xxx…'");
}

TEST(Json, DeepNestingIsAnErrorNotACrash) {
  const std::string deep(100000, '[');
  EXPECT_THROW(parse_json(deep, "t"), Error);
  EXPECT_EQ(parse_json("{\"b\":1,\"a\":\"[[[\"}", "t").begin().key(), "b");
}

}  // namespace
}  // namespace transom
