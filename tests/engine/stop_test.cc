// StopStrings: every way of cutting a text into pieces gives what the whole text gives.
#include "engine/stop.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace transom {
namespace {

struct Result {
  std::string text;
  std::optional<size_t> stop;
  bool operator==(const Result&) const = default;
};

std::ostream& operator<<(std::ostream& out, const Result& r) {
  return out << "'" << r.text << "' stop " << (r.stop ? static_cast<int>(*r.stop) : -1);
}

// The rule by search: the completed stop string that ends first, the longest of those that end there.
Result whole(const std::string& text, const std::vector<std::string>& stops, bool include) {
  size_t end = std::string::npos;
  std::optional<size_t> which;
  for (size_t i = 0; i < stops.size(); ++i) {
    const size_t at = text.find(stops[i]);
    if (at == std::string::npos) continue;
    const size_t e = at + stops[i].size();
    if (e < end || (e == end && stops[i].size() > stops[*which].size())) end = e, which = i;
  }
  if (!which) return {text, {}};
  return {text.substr(0, include ? end : end - stops[*which].size()), which};
}

Result streamed(const std::vector<std::string>& pieces, const std::vector<std::string>& stops, bool include) {
  StopStrings s(stops, include);
  Result r;
  for (const std::string& piece : pieces) {
    r.stop = s.push(piece, r.text);
    if (r.stop) break;
  }
  s.finish(r.text);
  return r;
}

const std::vector<std::string> kTexts = {
    "",         "abc",        "aaaaab",          "one two\n\nUser: three", "ababababc", "mississippi",
    "stopstop", "sto st s p", "é日本語。ended 🎉", "x\n\n\ny",               "aabaabaaab"};
const std::vector<std::vector<std::string>> kStops = {
    {},         {"a"},       {"aab"},     {"\n\nUser:"}, {"ababc"},        {"ssip", "issi"}, {"stop"},   {"b", "abc"},
    {"日本語"}, {"🎉", "語"}, {"\n\n\n"}, {"aaab", "aab", "b"}, {"two\n", "\n\n", "o two"}, {"zzz"}, {"stopstopstop", "p"}};

TEST(StopStrings, EverySplitGivesTheSame) {
  for (const std::string& text : kTexts)
    for (const auto& stops : kStops)
      for (bool include : {false, true}) {
        const Result want = whole(text, stops, include);
        // All cuts into pieces for short texts, all pairs of cuts for longer ones.
        const size_t n = text.size();
        if (n <= 12) {
          for (uint32_t mask = 0; mask < (1u << (n == 0 ? 0 : n - 1)); ++mask) {
            std::vector<std::string> pieces(1);
            for (size_t i = 0; i < n; ++i) {
              pieces.back() += text[i];
              if (i + 1 < n && (mask >> i & 1)) pieces.emplace_back();
            }
            ASSERT_EQ(streamed(pieces, stops, include), want) << text << " mask " << mask;
          }
        }
        for (size_t a = 0; a <= n; ++a)
          for (size_t b = a; b <= n; ++b)
            ASSERT_EQ(streamed({text.substr(0, a), text.substr(a, b - a), text.substr(b)}, stops, include), want) << text;
        std::vector<std::string> bytes;
        for (char c : text) bytes.emplace_back(1, c);
        ASSERT_EQ(streamed(bytes, stops, include), want) << text;
      }
}

TEST(StopStrings, RandomTextsOverASmallAlphabet) {
  std::mt19937 random(5);
  const auto word = [&](size_t longest) {
    std::string s;
    for (size_t n = 1 + random() % longest; n > 0; --n) s += static_cast<char>('a' + random() % 2);
    return s;
  };
  for (int round = 0; round < 20000; ++round) {
    std::vector<std::string> stops;
    for (size_t n = random() % 4; n > 0; --n) stops.push_back(word(6));
    const std::string text = word(40);
    std::vector<std::string> pieces;
    for (size_t at = 0; at < text.size();) {
      const size_t n = random() % 5;  // empty pieces too
      pieces.push_back(text.substr(at, n));
      at += n;
    }
    const bool include = random() % 2 == 0;
    Result want = whole(text, stops, include);
    const Result got = streamed(pieces, stops, include);
    ASSERT_EQ(got.text, want.text) << text;
    ASSERT_EQ(got.stop.has_value(), want.stop.has_value()) << text;
    if (got.stop) ASSERT_EQ(stops[*got.stop], stops[*want.stop]);
  }
}

TEST(StopStrings, HoldsBackOnlyWhatMayMatch) {
  StopStrings s({"User:", "\n\n"});
  std::string out;
  EXPECT_FALSE(s.push("Hello\n", out));
  EXPECT_EQ(out, "Hello");
  EXPECT_EQ(s.held_bytes(), 1u);
  EXPECT_FALSE(s.push("Us", out));
  EXPECT_EQ(out, "Hello\n");
  EXPECT_FALSE(s.push("eful", out));
  EXPECT_EQ(out, "Hello\nUseful");
  EXPECT_EQ(s.held_bytes(), 0u);
  EXPECT_EQ(s.push(" User: more", out), std::optional<size_t>(0));
  EXPECT_EQ(out, "Hello\nUseful ");
  s.finish(out);
  EXPECT_EQ(out, "Hello\nUseful ");
}

TEST(StopStrings, TextThatOnlyBeganAStopStringIsFlushed) {
  StopStrings s({"stop"});
  std::string out;
  s.push("non-sto", out);
  EXPECT_EQ(out, "non-");
  s.finish(out);
  EXPECT_EQ(out, "non-sto");
}

TEST(StopStrings, UnarmedTextNeverMatches) {
  StopStrings s({"ab"});
  std::string out;
  EXPECT_FALSE(s.push("ab a", out, false));
  EXPECT_EQ(out, "ab a");
  EXPECT_FALSE(s.push("b", out));  // its 'a' came too early
  EXPECT_EQ(s.push(" ab", out), std::optional<size_t>(0));
  EXPECT_EQ(out, "ab ab ");
}

}  // namespace
}  // namespace transom
