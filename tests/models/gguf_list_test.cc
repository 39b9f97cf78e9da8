// docs/gguf.md says of every architecture whether llama.cpp's converter writes it and what proves that its files are read: fixtures
// that are there and are of that architecture, or another architecture, which has them. No fixture of its files is left out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>

#include "models/registry.h"
#include "support/fixture.h"

namespace transom {
namespace {

std::map<std::string, std::string> listed() {
  std::map<std::string, std::string> rows;
  std::ifstream page(TRANSOM_SOURCE_DIR "/docs/gguf.md");
  bool table = false;
  for (std::string line; std::getline(page, line);) {
    const size_t bar = line.find(" | ");
    if (table && bar != std::string::npos) rows.emplace(line.substr(0, line.find(' ')), line.substr(bar + 3));
    table = table || line.starts_with("----");
  }
  return rows;
}

TEST(GgufList, HasEveryArchitectureAndEveryFixture) {
  const std::map<std::string, std::string> rows = listed();
  std::set<std::string> architectures, named, there;
  for (const RegistryLine& l : registry_lines()) architectures.emplace(l.name);
  for (const auto& [architecture, entry] : rows) {
    SCOPED_TRACE(architecture);
    EXPECT_TRUE(architectures.contains(architecture));
    if (rows.contains(entry)) EXPECT_THAT(rows.at(entry), testing::StartsWith("gguf-"));
    if (!entry.starts_with("gguf-")) continue;
    std::istringstream names(entry);
    for (std::string name; std::getline(names >> std::ws, name, ',');) {
      named.insert(name);
      EXPECT_EQ(read_json_file(test::fixture_path(name) + "/golden.json").at("arch"), architecture);
    }
  }
  EXPECT_EQ(rows.size(), architectures.size()) << "run scripts/make_fixtures.py gguf_converted";
  for (const auto& e : std::filesystem::directory_iterator(test::fixture_path("")))
    if (e.path().filename().string().starts_with("gguf-")) there.insert(e.path().filename());
  EXPECT_EQ(named, there);
}

}  // namespace
}  // namespace transom
