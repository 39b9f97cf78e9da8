// The shape of the generated Unicode tables (unicode_letters.cc, unicode_classes.cc, unicode_mappings.cc): sorted ranges
// for yes/no properties, runs for digit values, runs with a stride for case mappings of one character to one, and a
// sorted list for those of one to several.
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace transom::jinja::tables {

struct Range {
  char32_t first, last;
};
struct ValueRun {
  char32_t first, last;
  int value;  // of `first`; rises by one a character
};
struct CaseRun {
  char32_t first, last;
  int stride, delta;
};
struct CaseSpecial {
  char32_t from;
  std::array<char32_t, 3> to;  // zero-filled
};
struct CaseMap {
  std::span<const CaseRun> runs;
  std::span<const CaseSpecial> specials;
};

extern const std::span<const Range> kAlpha, kIdStart, kIdContinue, kSpace, kPrintable, kLower, kUpper, kTitle, kCased,
    kIgnorable, kNumeric;
extern const std::span<const ValueRun> kDecimal, kDigit;
extern const CaseMap kToLower, kToUpper, kToTitle, kToFold;

}  // namespace transom::jinja::tables
