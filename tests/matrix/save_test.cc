// Saving is loading backwards: every tensor that a model was loaded from comes back under its name with the same bytes, made of the
// parameters' values, and the copy computes the same. R41
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "checkpoint/source.h"
#include "support/fixture_names.h"
#include "support/run_case.h"
#include "support/temp_dir.h"
#include "transom/save.h"
#include "transom/trainer.h"

namespace transom {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

ModelOptions plain(bool stream = false) { return {.kernels = "ref", .threads = 1, .stream_weights = stream}; }

void expect_same_tensors(const std::string& a, const std::string& b) {
  const auto x = open_checkpoint(a), y = open_checkpoint(b);
  EXPECT_EQ(x->entries().size(), y->entries().size());
  for (const TensorEntry& e : x->entries()) {
    const TensorEntry* copy = y->find(e.name);
    ASSERT_TRUE(copy) << e.name;
    EXPECT_EQ(copy->dtype, e.dtype) << e.name;
    EXPECT_EQ(copy->shape, e.shape) << e.name;
    const auto stored = TensorSource::data(e), saved = TensorSource::data(*copy);
    EXPECT_TRUE(std::equal(stored.begin(), stored.end(), saved.begin(), saved.end())) << e.name;
  }
}

std::string error_of(const Model& m, const std::string& directory) {
  try {
    save_checkpoint(m, directory);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

std::vector<std::string> families() {
  std::vector<std::string> names;
  for (const char* kind : {"logits", "embeddings", "heads", "seq2seq"})
    for (std::string& name : test::fixtures_to_run(kind)) names.push_back(std::move(name));
  return names;
}

class Save : public testing::TestWithParam<std::string> {};

TEST_P(Save, GivesBackEveryTensorAndTheSameResults) {
  const std::string path = test::fixture_path(GetParam());
  const test::GoldenCase c = test::load_golden(GetParam()).cases.back();
  const Model m = Model::load(path, plain());
  const test::TempDir dir;
  const std::string copy = dir / "copy";
  if (open_checkpoint(path)->gguf()) {
    EXPECT_THAT(error_of(m, copy), HasSubstr("expected a checkpoint of safetensors to save, got GGUF"));
    EXPECT_FALSE(fs::exists(copy));
    return;
  }
  save_checkpoint(m, copy);
  expect_same_tensors(path, copy);
  EXPECT_EQ(read_file(copy + "/config.json"), read_file(path + "/config.json"));
  EXPECT_EQ(test::run_case(Model::load(copy, plain()), c), test::run_case(m, c));
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Save, testing::ValuesIn(families()),
                         [](const testing::TestParamInfo<std::string>& info) { return test::as_test_name(info.param); });

TEST(Saving, SplitsIntoPartsWithAnIndexAndTakesAlongWhatLiesBeside) {
  const std::string path = test::fixture_path("llama-chat");
  const test::TempDir dir;
  const std::string copy = dir / "of/models/copy/";
  save_checkpoint(Model::load(path, plain(true)), copy, 20'000);
  EXPECT_FALSE(fs::exists(copy + "model.safetensors"));
  EXPECT_TRUE(fs::exists(copy + "model.safetensors.index.json"));
  expect_same_tensors(path, copy);
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"})
    if (fs::exists(path + "/" + name)) EXPECT_EQ(read_file(copy + name), read_file(path + "/" + name)) << name;
  for (const auto& e : fs::directory_iterator(dir / "of/models")) EXPECT_EQ(e.path().filename(), "copy");  // nothing half made
}

TEST(Saving, WritesTrainedWeights) {
  for (const char* name : {"gpt2", "mixtral", "phi3", "llama-tied"}) {  // transposed, by expert, fused, one for two
    const Model m = Model::load(test::fixture_path(name), plain());
    const test::GoldenCase c = test::load_golden(name).cases.back();
    const std::vector<float> before = test::run_case(m, c);
    Trainer trainer(m, {.learning_rate = 1e-2});
    trainer.accumulate(std::vector<TrainExample>{{.ids = c.ids}});
    trainer.step();
    const test::TempDir dir;
    save_checkpoint(m, dir / "trained");
    const Model trained = Model::load(dir / "trained", plain());
    EXPECT_EQ(test::run_case(trained, c), test::run_case(m, c)) << name;
    EXPECT_NE(test::run_case(trained, c), before) << name;
  }
}

TEST(Saving, RefusesWhatItCannotDo) {
  const test::TempDir dir;
  const Model m = Model::load(test::fixture_path("llama-mha"), plain());
  dir.write("full/notes", "kept");
  EXPECT_THAT(error_of(m, dir / "full"), HasSubstr("expected a new or an empty directory"));
  EXPECT_THAT(error_of(m, dir.write("file", "") + "/below"), Not(IsEmpty()));
  EXPECT_EQ(read_file(dir / "full/notes"), "kept");
  const Model quantized = Model::load(test::fixture_path("gptq"), plain());
  Trainer trainer(quantized);
  EXPECT_THAT(error_of(quantized, dir / "quantized"), HasSubstr("as they are stored (GPTQ"));
  EXPECT_EQ(std::distance(fs::directory_iterator(dir.path()), {}), 2);  // nothing was left behind
}

}  // namespace
}  // namespace transom
