// Which layers have attention sinks: MiMo-V2's two keys, and the tensors where the config says nothing. R18 R19 R20 R27
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "engine/loaded_model.h"
#include "models/registry.h"
#include "support/fixture.h"
#include "support/temp_dir.h"
#include "transom/model.h"

namespace transom {
namespace {

Json config_of(const std::string& fixture) { return read_json_file(test::fixture_path(fixture) + "/config.json"); }

// The layers that declare sinks.
std::vector<int> layers_with_sinks(const Json& config) {
  ParamTable params;
  std::vector<StateSpec> states;
  find_family(config["architectures"][0].get<std::string>())->build(Config(config, "config.json"), Scope(params, states));
  std::vector<int> layers;
  for (const Param& p : params.rows())
    if (p.name.ends_with("self_attn.sinks")) layers.push_back(p.block);
  return layers;
}

TEST(Sinks, FollowBothKeys) {
  for (const char* architecture : {"MiMoV2FlashForCausalLM", "MiMoV2ForCausalLM", "MiMoV2MTP"})
    for (const Json& full : {Json(), Json(false), Json(true)})
      for (const Json& sliding : {Json(), Json(false), Json(true)}) {
        Json config = config_of("mimo-v2-hub");  // layer 0 sees all, 1 and 2 a window
        config["num_experts"] = config["n_routed_experts"];
        config["architectures"] = {architecture};
        config.erase("add_full_attention_sink_bias");
        config.erase("add_swa_attention_sink_bias");
        if (!full.is_null()) config["add_full_attention_sink_bias"] = full;
        if (!sliding.is_null()) config["add_swa_attention_sink_bias"] = sliding;
        std::vector<int> want;
        if (full == true) want = {0};
        if (sliding == true) want.insert(want.end(), {1, 2});
        EXPECT_EQ(layers_with_sinks(config), want) << architecture << full << sliding;
      }
}

TEST(Sinks, OtherFamilies) {
  EXPECT_EQ(layers_with_sinks(config_of("gpt-oss")), (std::vector<int>{0, 1}));
  for (const char* fixture : {"llama-mha", "mistral", "qwen3", "gemma2", "gemma3"}) EXPECT_EQ(layers_with_sinks(config_of(fixture)), std::vector<int>{});
}

Model load(const std::string& path) { return Model::load(path, {.kernels = "ref", .threads = 1}); }

TEST(Sinks, TensorsWinOverAConfigThatSaysNone) {
  EXPECT_THAT(load(test::fixture_path("mimo-v2")).warnings(), testing::Contains(testing::HasSubstr("the tensors win")));
  EXPECT_THAT(load(test::fixture_path("mimo-v2-hub")).warnings(), testing::IsEmpty());
}

// Of a multimodal model's config, the text model's part counts.
TEST(Sinks, AreReadFromTheTextModelsConfig) {
  const test::TempDir dir;
  Json text = config_of("mimo-v2-hub");
  const Json wrapper{{"architectures", text["architectures"]}, {"add_swa_attention_sink_bias", false}, {"text_config", text}};
  dir.write("config.json", wrapper.dump());
  std::filesystem::create_symlink(test::fixture_path("mimo-v2-hub") + "/model.safetensors", dir / "model.safetensors");
  const Model m = load(dir.path());
  EXPECT_THAT(m.warnings(), testing::IsEmpty());
  for (const int layer : {1, 2}) EXPECT_TRUE(m.impl().params.find("model.layers." + std::to_string(layer) + ".self_attn.sinks")) << layer;
  EXPECT_FALSE(m.impl().params.find("model.layers.0.self_attn.sinks"));
}

TEST(Sinks, ThatTheFileLacksAreAnError) {
  const test::TempDir dir;
  Json config = config_of("mimo-v2-no-sinks");
  config["add_swa_attention_sink_bias"] = true;
  dir.write("config.json", config.dump());
  std::filesystem::create_symlink(test::fixture_path("mimo-v2-no-sinks") + "/model.safetensors", dir / "model.safetensors");
  try {
    load(dir.path());
    FAIL() << "loaded without its sinks";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("self_attn.attention_sink_bias"));
  }
}

}  // namespace
}  // namespace transom
