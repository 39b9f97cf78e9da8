// Where the tests of vocabularies find their files: checked-in fixtures (scripts/make_vocab_fixtures.py), and what
// scripts/setup --tests fetched (absent: the test is skipped and says which script to run).
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "base/json.h"
#include "transom/tokenizer.h"

namespace transom::test {

inline std::string vocab_fixture(const std::string& name) { return std::string(TRANSOM_SOURCE_DIR) + "/tests/text/data/vocab/" + name; }

inline std::string cache_root() {
  const char* xdg = std::getenv("XDG_CACHE_HOME");
  const char* home = std::getenv("HOME");
  return (xdg && *xdg ? std::string(xdg) : std::string(home ? home : "") + "/.cache") + "/transom";
}
inline std::string llama_vocabs() {
  const char* data = std::getenv("TRANSOM_TEST_DATA");
  return (data && *data ? std::string(data) : cache_root() + "/test-data") + "/llama-vocabs";
}

inline std::vector<Json> json_lines(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in) << path;
  std::vector<Json> out;
  for (std::string line; std::getline(in, line);) out.push_back(Json::parse(line));
  return out;
}
inline std::vector<std::string> text_lines(const std::string& path) {
  std::vector<std::string> out;
  for (const Json& j : json_lines(path)) out.push_back(j.get<std::string>());
  return out;
}
inline std::vector<std::vector<int32_t>> id_lines(const std::string& path) {
  std::vector<std::vector<int32_t>> out;
  for (const Json& j : json_lines(path)) out.push_back(j.get<std::vector<int32_t>>());
  return out;
}

// Every text has its golden ids. `except`: texts that hold one of these strings are left out.
inline void expect_ids(const Tokenizer& t, const std::vector<std::string>& texts, const std::vector<std::vector<int32_t>>& ids, bool special,
                       const std::vector<std::string>& except = {}) {
  ASSERT_EQ(texts.size(), ids.size());
  ASSERT_GE(texts.size(), 40u);
  size_t compared = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    bool skip = false;
    for (const std::string& e : except) skip |= texts[i].find(e) != std::string::npos;
    if (skip) continue;
    ++compared;
    EXPECT_EQ(t.encode(texts[i], special), ids[i]) << "text " << i << ": " << Json(texts[i]).dump();
  }
  EXPECT_GE(compared + 8, texts.size());
}

}  // namespace transom::test
