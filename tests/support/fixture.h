// The checked-in fixtures (tests/fixtures/README.md): where they lie, and their golden.json with the arrays read.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include "base/json.h"
#include "support/npy.h"

namespace transom::test {

// TRANSOM_FIXTURES says where they lie when a test runs on another machine than it was built on.
inline std::string fixture_path(const std::string& name) {
  const char* moved = std::getenv("TRANSOM_FIXTURES");
  return (moved ? std::string(moved) : std::string(TRANSOM_SOURCE_DIR) + "/tests/fixtures") + "/" + name;
}

struct GoldenCase {
  std::vector<int32_t> ids;
  std::vector<int32_t> type_ids;  // empty: all 0
  Npy<float> logits;              // [T, V], fixtures of kind "logits"
  Npy<float> hidden;              // [T, D], kind "embeddings"
  Npy<float> mean;                // [D], mean over tokens, L2-normalized
  Npy<float> pooled;              // [D], only where the fixture has a pooler
  // Kind "seq2seq": what the encoder reads, ids or features [frames, columns], and what it makes of it, [S, D].
  std::vector<int32_t> source;
  Npy<float> features, encoder;
};

struct Golden {
  std::string directory;
  Json json;  // all of golden.json: "greedy", "about", …
  std::vector<GoldenCase> cases;
};

inline Golden load_golden(const std::string& name, const std::string& file = "golden.json") {
  Golden golden{fixture_path(name), read_json_file(fixture_path(name) + "/" + file), {}};
  for (const Json& c : golden.json.at("cases")) {
    GoldenCase out;
    auto array = [&](const char* key, Npy<float>& to) {
      if (c.contains(key)) to = read_npy<float>(golden.directory + "/" + c[key].get<std::string>());
    };
    out.ids = c.at("ids").get<std::vector<int32_t>>();
    if (c.contains("type_ids") && !c["type_ids"].is_null()) out.type_ids = c["type_ids"].get<std::vector<int32_t>>();
    array("logits", out.logits);
    array("hidden", out.hidden);
    array("mean", out.mean);
    array("pooled", out.pooled);
    if (c.contains("source")) out.source = c["source"].get<std::vector<int32_t>>();
    array("features", out.features);
    array("encoder", out.encoder);
    golden.cases.push_back(std::move(out));
  }
  return golden;
}

}  // namespace transom::test
