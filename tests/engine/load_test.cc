// Model::load as a caller sees it: progress, what the tensors decide against the config, tied heads, and engines made anew.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <vector>

#include "engine/runner.h"
#include "support/run_case.h"
#include "support/temp_dir.h"
#include "transom/engine.h"

namespace transom {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

Model load(const std::string& path, bool stream = false) { return Model::load(path, {.kernels = "ref", .threads = 1, .stream_weights = stream}); }
Model fixture(const std::string& name, bool stream = false) { return load(test::fixture_path(name), stream); }

TEST(Load, TellsHowFarItIs) {
  std::vector<int64_t> done;
  int64_t all = 0;
  ModelOptions options{.kernels = "ref", .threads = 1};
  options.progress = [&](int64_t d, int64_t total) { done.push_back(d), all = total; };
  Model::load(test::fixture_path("llama-mha"), options);
  ASSERT_GT(done.size(), 10u);
  EXPECT_TRUE(std::is_sorted(done.begin(), done.end()));
  EXPECT_EQ(done.back(), all);
  EXPECT_GT(all, 10000);
}

TEST(KvCache, IsBfloat16UnlessWeightsOrCallerSayOtherwise) {
  const auto kept = [](const char* name, ModelOptions o = {}) {
    o.threads = 1;
    return Model::load(test::fixture_path(name), o).describe()["placement"]["kv_cache"].get<std::string>();
  };
  EXPECT_EQ(kept("llama-mha"), "F32");  // its weights are
  EXPECT_EQ(kept("deepseek-v2"), "BF16");
  EXPECT_EQ(kept("deepseek-v2", {.kernels = "ref"}), "F32");
  EXPECT_EQ(kept("deepseek-v2", {.dtype = "float32"}), "F32");
  EXPECT_EQ(kept("llama-mha", {.dtype = "bfloat16"}), "BF16");
  EXPECT_EQ(kept("llama-mha", {.kv_cache_dtype = "float16"}), "F16");
  try {
    kept("llama-mha", {.kv_cache_dtype = "int3"});
    ADD_FAILURE() << "expected an error";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), AllOf(HasSubstr("--kv-cache-dtype"), HasSubstr("int3")));
  }
  for (const auto& [model, why] : {std::pair{"llama-mha", "heads of 8 do not divide into blocks of 32"}, {"deepseek-v2", "share a latent"}})
    try {
      kept(model, {.kv_cache_dtype = "q8_0"});
      ADD_FAILURE() << "expected an error";
    } catch (const Error& e) {
      EXPECT_THAT(e.what(), AllOf(HasSubstr("--kv-cache-dtype"), HasSubstr(why)));
    }
}

// Keys and values are rounded once, when they are kept, and read from there by the step that makes them too.
TEST(KvCache, ARoundedOneGivesTheSameBitsHoweverATextIsCut) {
  std::vector<int32_t> ids(40);
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(3 + 7 * i % 60);
  for (const char* name : {"llama-mha", "gemma3"}) {
    const std::vector<float> exact = Engine(load(test::fixture_path(name))).logits(ids).values;
    for (const char* type : {"bfloat16", "float16"}) {
      Engine engine(Model::load(test::fixture_path(name), {.kv_cache_dtype = type, .kernels = "ref", .threads = 2}));
      const std::vector<float> whole = engine.logits(ids).values;
      EXPECT_EQ(engine.logits(ids, 1).values, whole) << name << " " << type;
      EXPECT_EQ(engine.logits(ids, 7).values, whole) << name << " " << type;
      double squares = 0, off = 0;
      for (size_t i = 0; i < whole.size(); ++i) squares += exact[i] * exact[i], off += (whole[i] - exact[i]) * (whole[i] - exact[i]);
      EXPECT_GT(off, 0) << name << " " << type;
      EXPECT_LT(std::sqrt(off / squares), 0.02) << name << " " << type;
    }
  }
}

// R30: a head size that the config says rightly, wrongly, or not at all.
TEST(HeadSize, IsThatOfTheTensors) {
  for (const char* name : {"llama-head-dim", "llama-head-dim-absent"}) EXPECT_THAT(fixture(name).warnings(), IsEmpty()) << name;
  for (const char* name : {"llama-head-dim-wrong", "llama-head-dim-absent-wrong"})
    EXPECT_THAT(fixture(name).warnings(), Contains(HasSubstr("the tensors win"))) << name;
}

// R29: the count of heads in place of their size; later steps read the state with the right one.
TEST(HeadSize, MayBeGivenAsTheNumberOfHeads) {
  const test::TempDir dir;
  Json config = read_json_file(test::fixture_path("qwen2") + "/config.json");
  const int64_t size = config["hidden_size"].get<int64_t>() / config["num_attention_heads"].get<int64_t>();
  config["head_dim"] = config["num_attention_heads"];
  ASSERT_NE(config["head_dim"], size);
  dir.write("config.json", config.dump());
  std::filesystem::create_symlink(test::fixture_path("qwen2") + "/model.safetensors", dir / "model.safetensors");
  const Model wrong = load(dir.path()), right = fixture("qwen2");
  EXPECT_THAT(wrong.warnings(), Contains(HasSubstr(fmt::format("head_dim is {} by the tensors", size))));
  Engine a(wrong), b(right);
  const std::vector<int32_t> ids = {5, 9, 30, 31, 7, 2, 64};
  EXPECT_EQ(a.logits(ids, 3).values, b.logits(ids).values);
}

// R41
TEST(TiedHead, IsStoredOnceAndTheCheckpointsOwnWins) {
  for (const bool stream : {false, true})
    for (const auto& [name, one] : {std::pair{"llama-tied", true}, {"llama-tied-equal", true}, {"llama-tied-different", false}}) {
      const Model m = fixture(name, stream);
      ParamTable& params = m.impl().params;
      const Param *head = params.find("lm_head.weight"), *words = params.find("model.embed_tokens.weight");
      ASSERT_TRUE(head && words && words->weight) << name;  // resident, also where blocks are streamed
      EXPECT_EQ(head->weight.view.data == words->weight.view.data, one) << name;
      if (one) EXPECT_THAT(m.warnings(), IsEmpty());
      else EXPECT_THAT(m.warnings(), Contains(HasSubstr("is present and differs")));
    }
}

std::vector<int32_t> answer(Engine& engine) {
  Request r{.prompt = {5, 9, 30}, .sampling = {.temperature = 0, .max_tokens = 8}, .features = {}};
  r.sampling.ignore_eos = true;
  std::vector<int32_t> ids;
  engine.submit(std::move(r));
  while (engine.step([&](const Output& o) {
    if (o.token) ids.push_back(*o.token);
  })) {
  }
  return ids;
}

// R43: after a failure an engine is made anew in its place, and nothing holds on to the model before.
TEST(AnEngine, IsMadeAnewAfterAFailure) {
  const std::vector<int32_t> ids = {1, 2, 3};
  std::weak_ptr<const void> weights;
  std::optional<Engine> engine;
  {
    const Model m = fixture("llama-mha");
    weights = m.impl().params.rows().front().weight.owner;
    static Kernels broken;
    broken = *m.impl().kernels;
    broken.attention = [](const AttentionArgs&, Stream&) { throw Error(Code::kInternal, "broken", "test"); };
    m.impl().kernels = &broken;
    engine.emplace(m);
  }
  EXPECT_THROW(engine->logits(ids), Error);
  EXPECT_THROW(engine->logits(ids), Error);
  EXPECT_FALSE(weights.expired());
  *engine = Engine(fixture("qwen2"));
  EXPECT_TRUE(weights.expired());
  Engine other(fixture("qwen2"));
  EXPECT_EQ(answer(*engine), answer(other));
  EXPECT_EQ(answer(*engine).size(), 8u);
  EXPECT_THROW(fixture("no-such-model"), Error);
  *engine = Engine(fixture("llama-mha"));
  EXPECT_EQ(answer(*engine).size(), 8u);
}

const Kernels* counted = nullptr;
int64_t tables = 0;

// R44: cosines and sines are made once a step for each kind of rotation, whatever the number of layers.
TEST(Rotation, IsMadeOnceAStepForAllLayers) {
  for (const auto& [name, kinds] : {std::pair{"llama-mha", 1}, {"llama-rope-llama3", 1}, {"gemma3", 2}, {"smollm3", 1}, {"qwen3-5-mrope", 1}}) {
    const Model m = fixture(name);
    ASSERT_GT(m.impl().params.blocks(), kinds) << name;
    counted = m.impl().kernels;
    Kernels table = *counted;
    table.rope_table = [](const RopeTableArgs& a, Stream& s) {
      ++tables;
      counted->rope_table(a, s);
    };
    m.impl().kernels = &table;
    tables = 0;
    test::run_case(m, test::load_golden(name).cases.back());
    EXPECT_EQ(tables, kinds) << name;
  }
}

}  // namespace
}  // namespace transom
