// Which fixtures there are: by the kind of their goldens.
#pragma once

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "support/fixture.h"

namespace transom::test {

// The fixtures of a kind ("logits", "embeddings", "heads", "seq2seq"), without adapters, by name. Every process of every test asks: the files are
// searched, not parsed.
inline std::vector<std::string> fixtures(const std::string& kind) {
  std::vector<std::string> names;
  for (const auto& e : std::filesystem::directory_iterator(fixture_path(""))) {
    std::ifstream file(e.path() / "golden.json", std::ios::binary);
    const std::string golden((std::istreambuf_iterator<char>(file)), {});
    const bool has_kind = golden.find("\"kind\": \"" + kind + "\"") != std::string::npos;
    if (has_kind && golden.find("\"base\":") == std::string::npos) names.push_back(e.path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// Those with weights of their own in one safetensors file: one or two an architecture, not every spelling of a config, nor every
// format of its weights.
inline std::vector<std::string> own_weights(const std::string& kind) {
  std::vector<std::string> names = fixtures(kind);
  std::erase_if(names, [](const std::string& name) {
    const std::string file = fixture_path(name) + "/model.safetensors";
    const bool quantized = read_json_file(fixture_path(name) + "/golden.json").contains("dequantized");
    return quantized || !std::filesystem::is_regular_file(std::filesystem::symlink_status(file));
  });
  return names;
}

// Every one, but in a sanitizer build, which looks at memory and not at numbers, those with weights of their own.
inline std::vector<std::string> fixtures_to_run(const std::string& kind) {
#ifdef __SANITIZE_ADDRESS__
  return own_weights(kind);
#else
  return fixtures(kind);
#endif
}

inline std::string as_test_name(std::string s) {
  for (char& c : s)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return s;
}

}  // namespace transom::test
