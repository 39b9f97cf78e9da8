// Raising Error (include/transom/error.h): fail() for the user's and the files' mistakes, CHECK for our own.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>
#include <utility>

#include "transom/error.h"

namespace transom {

// fail(Code::kCorrupt, path, "expected {} bytes, got {}", a, b)
template <class... Args>
[[noreturn]] void fail(Code code, std::string_view context, fmt::format_string<Args...> f, Args&&... args) {
  throw Error(code, fmt::format(f, std::forward<Args>(args)...), std::string(context));
}

// Text from a file for use in a message: in single quotes, at most `limit` bytes, control bytes and broken UTF-8 as '?'.
std::string quote(std::string_view text, size_t limit = 100);

}  // namespace transom

// Checks an invariant of our own code; a failure is a bug (Code::kInternal), never a user's mistake.
#define TRANSOM_STRINGIFY_(x) #x
#define TRANSOM_STRINGIFY(x) TRANSOM_STRINGIFY_(x)
#define CHECK(condition)                                                                                   \
  do {                                                                                                     \
    if (!(condition)) [[unlikely]]                                                                         \
      throw ::transom::Error(::transom::Code::kInternal, "check failed: " #condition,                      \
                             __FILE__ ":" TRANSOM_STRINGIFY(__LINE__));                                    \
  } while (0)
