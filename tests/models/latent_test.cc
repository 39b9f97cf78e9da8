// Latent attention on the CPU tables, which compose it: whole texts expanded, later steps absorbed, both near transformers'
// logits and the reference's; what it keeps of a token; and what checkpoints of these families may hold.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "engine/loaded_model.h"
#include "engine/runner.h"
#include "kernels/kernels.h"
#include "support/fixture.h"
#include "support/temp_dir.h"

namespace transom {
namespace {

constexpr std::array kFixtures = {"deepseek-v2", "deepseek-v2-lite", "deepseek-v3", "deepseek-v3-halves", "deepseek-v32", "glm4-moe-lite"};

Model load(const std::string& path, std::string_view kernels = "ref") {
  return Model::load(path, {.kv_cache_dtype = "float32", .kernels = std::string(kernels), .threads = 2});
}

std::vector<float> in_chunks(const Model& m, const std::vector<int32_t>& ids, size_t chunk) {
  Runner r(m.impl(), 16, 0);
  SequenceState s;
  std::vector<float> out;
  for (size_t i = 0; i < ids.size(); i += chunk) {
    const StepItem item{.state = &s, .ids = std::span(ids).subspan(i, std::min(chunk, ids.size() - i)), .want = StepItem::Want::kAll};
    const auto rows = r.logits({&item, 1});
    out.insert(out.end(), rows.begin(), rows.end());
  }
  return out;
}

// Tables that multiply many rows in bfloat16 are not as near.
bool rounds_to_bf16(std::string_view table) {
  return table.find("deterministic") == table.npos && (table.find("bf16") != table.npos || table.find("amx") != table.npos);
}

TEST(LatentAttention, ExpandedAndAbsorbedOnEveryTable) {
  for (const char* name : kFixtures)
    for (const std::string_view kernels : available_kernels()) {
      if (rounds_to_bf16(kernels)) continue;
      const Model m = load(test::fixture_path(name), kernels);
      const test::GoldenCase c = test::load_golden(name).cases.back();
      for (const size_t chunk : {c.ids.size(), size_t{1}, size_t{7}}) {
        const std::vector<float> got = in_chunks(m, c.ids, chunk);
        ASSERT_EQ(got.size(), c.logits.data.size());
        double worst = 0;
        for (size_t i = 0; i < got.size(); ++i) worst = std::max(worst, std::fabs(double{got[i]} - c.logits.data[i]));
        EXPECT_LT(worst, 1e-4) << name << " on " << kernels << " in chunks of " << chunk;
      }
    }
}

TEST(LatentAttention, KeepsTheLatentsAlone) {
  for (const char* name : kFixtures) {
    const Model m = load(test::fixture_path(name));
    const Json config = read_json_file(test::fixture_path(name) + "/config.json");
    const int64_t each = config["kv_lora_rank"].get<int64_t>() + config["qk_rope_head_dim"].get<int64_t>();
    for (const DType type : {DType::kF32, DType::kBF16}) {
      const PagePool pool(m.impl().states, 16, type, ref_kernels());
      EXPECT_EQ(pool.bytes_per_token(), config["num_hidden_layers"].get<int64_t>() * each * info(type).bytes) << name;
    }
  }
}

std::string complaint(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(LatentAttention, TextsPastTheIndexersChoiceAreRefused) {
  const Model m = load(test::fixture_path("deepseek-v32"));
  EXPECT_EQ(m.context_length(), 64);
  EXPECT_EQ(complaint([&] { in_chunks(m, std::vector<int32_t>(64, 5), 64); }), "");
  EXPECT_EQ(complaint([&] { in_chunks(m, std::vector<int32_t>(65, 5), 64); }),
            "token ids: expected at most 64 of a text (index_topk: sparse attention is not there yet), got 65");
}

TEST(PredictionLayers, AreDroppedWhereTheConfigNamesThem) {
  const test::TempDir dir;
  Json config = read_json_file(test::fixture_path("deepseek-v3") + "/config.json");
  EXPECT_EQ(config["num_nextn_predict_layers"], 1);
  config["num_nextn_predict_layers"] = 0;
  dir.write("config.json", config.dump());
  std::filesystem::create_symlink(test::fixture_path("deepseek-v3") + "/model.safetensors", dir / "model.safetensors");
  EXPECT_THAT(complaint([&] { load(dir.path()); }), testing::HasSubstr("model.layers.3."));
}

}  // namespace
}  // namespace transom
