// EXPECT that an expression throws transom::Error with a code and a message that is one line and contains a text.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "transom/error.h"

namespace transom::test {

inline void expect_error(const std::function<void()>& run, Code code, const std::string& text) {
  try {
    run();
    ADD_FAILURE() << "expected an error with: " << text;
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code) << e.what();
    EXPECT_THAT(std::string(e.what()), ::testing::HasSubstr(text));
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << e.what();
    EXPECT_LT(std::string(e.what()).size(), 1000u);
  }
}

}  // namespace transom::test
