// Every include in src/ against the layer table in docs/ARCHITECTURE.md.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "house/source_tree.h"

namespace transom {
namespace {

struct Layer {
  std::set<std::string> may_include;
  std::set<std::string> public_headers;
};

std::set<std::string> words(const std::string& text) {
  std::istringstream in(text);
  return {std::istream_iterator<std::string>(in), {}};
}

std::map<std::string, Layer> read_table() {
  std::map<std::string, Layer> layers;
  std::ifstream in(std::string(TRANSOM_SOURCE_DIR) + "/docs/ARCHITECTURE.md");
  const std::regex row(R"(\| ([a-z]+) \|[^|]*\|([^|]*)\|([^|]*)\|)");
  std::smatch match;
  for (std::string line; std::getline(in, line);)
    if (std::regex_match(line, match, row)) layers[match[1]] = {words(match[2]), words(match[3])};
  return layers;
}

// What is wrong with `file` of `layer` including `header`; empty when nothing is.
std::string include_problem(const std::map<std::string, Layer>& layers, const std::string& layer,
                            const std::string& header) {
  const auto here = layers.find(layer);
  if (here == layers.end()) return "folder " + layer + " has no row in the table";
  const size_t slash = header.find('/');
  if (slash == std::string::npos) return "a path relative to src/ is expected";
  const std::string folder = header.substr(0, slash);
  if (folder != "transom") {
    if (folder == layer || here->second.may_include.count(folder)) return "";
    return layer + " may not include " + folder;
  }
  if (here->second.public_headers.count("*")) return "";
  const std::string name = header.substr(slash + 1, header.rfind('.') - slash - 1);
  for (const auto& [owner, row] : layers)
    if (row.public_headers.count(name) && (owner == layer || here->second.may_include.count(owner))) return "";
  // Errors are everybody's, also of families, which include no other part of base.
  return name == "error" ? "" : layer + " may not include the public header " + name;
}

TEST(Layering, TheTableIsReadAndHasNoCycle) {
  const auto layers = read_table();
  ASSERT_GE(layers.size(), 15u);
  EXPECT_TRUE(layers.at("base").may_include.empty());
  std::set<std::string> done;
  for (bool grown = true; grown;) {
    grown = false;
    for (const auto& [name, layer] : layers) {
      bool ready = !done.count(name);
      for (const std::string& lower : layer.may_include) ready = ready && done.count(lower);
      if (ready) grown = done.insert(name).second;
    }
  }
  EXPECT_EQ(done.size(), layers.size());
}

TEST(Layering, EveryIncludeObeysTheTable) {
  const auto layers = read_table();
  const std::regex include(R"re(\s*#\s*include\s*"([^"]+)".*)re");
  int includes = 0;
  for (const SourceFile& file : source_files("src", {".h", ".cc", ".cu", ".cuh", ".inc"}))
    for (size_t i = 0; i < file.code.size(); ++i) {
      std::smatch match;
      if (!std::regex_match(file.code[i], match, include)) continue;
      ++includes;
      EXPECT_EQ(include_problem(layers, file.layer(), match[1]), "") << file.path << ":" << i + 1;
    }
  EXPECT_GT(includes, 50);
}

TEST(Layering, TheCheckFindsOffenders) {
  const auto layers = read_table();
  EXPECT_EQ(include_problem(layers, "nn", "ops/ops.h"), "");
  EXPECT_EQ(include_problem(layers, "cli", "transom/engine.h"), "");
  EXPECT_EQ(include_problem(layers, "text", "transom/tokenizer.h"), "");
  EXPECT_NE(include_problem(layers, "nn", "kernels/kernels.h"), "");
  EXPECT_NE(include_problem(layers, "models", "tensor/dtype.h"), "");
  EXPECT_NE(include_problem(layers, "cli", "base/json.h"), "");
  EXPECT_NE(include_problem(layers, "base", "transom/tokenizer.h"), "");
  EXPECT_NE(include_problem(layers, "new_folder", "base/log.h"), "");
}

TEST(Layering, PublicHeadersIncludeOnlyPublicHeaders) {
  const std::regex include(R"re(\s*#\s*include\s*"([^"]+)".*)re");
  for (const SourceFile& file : source_files("include", {".h"}))
    for (const std::string& line : file.code) {
      std::smatch match;
      if (std::regex_match(line, match, include)) EXPECT_EQ(match[1].str().substr(0, 8), "transom/") << file.path;
    }
}

}  // namespace
}  // namespace transom
