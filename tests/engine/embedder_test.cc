// Sentence embeddings as the model's files say: prompts before the text, in or out of the mean.
#include "transom/embedder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "support/fixture.h"
#include "support/temp_dir.h"

namespace transom {
namespace {

namespace fs = std::filesystem;

// bert-sentence with prompts.
class Prompts : public testing::Test {
 protected:
  explicit Prompts(const Json& pooling = {{"pooling_mode_mean_tokens", true}}) {
    const std::string from = test::fixture_path("bert-sentence");
    for (const char* file : {"config.json", "model.safetensors", "modules.json", "sentence_bert_config.json", "tokenizer.json", "tokenizer_config.json"})
      fs::create_symlink(fs::canonical(from + "/" + file), dir_ / file);
    fs::create_directory(dir_ / "1_Pooling");
    dir_.write("1_Pooling/config.json", pooling.dump());
    say({{"prompts", {{"query", "the tide "}, {"document", "a harbour wall "}}}});
  }
  void say(const Json& settings) { dir_.write("config_sentence_transformers.json", settings.dump()); }
  Matrix embed(const std::string& text, const EmbedOptions& options = {}) {
    Embedder e(Model::load(dir_.path(), {.kernels = "ref", .threads = 1}));
    return e.embed(std::vector<std::string>{text}, options);
  }
  test::TempDir dir_;
};

TEST_F(Prompts, StandBeforeTheText) {
  const std::vector<float> whole = embed("the tide comes in").values;
  EXPECT_EQ(embed("comes in", {.prompt_name = "query"}).values, whole);
  EXPECT_EQ(embed("comes in", {.prompt = "the tide "}).values, whole);
  EXPECT_NE(embed("comes in").values, whole);
  EXPECT_NE(embed("comes in", {.prompt_name = "document"}).values, whole);
}

TEST_F(Prompts, TheDefaultIsTheModelsOwnAndCanBeLeftOut) {
  const std::vector<float> bare = embed("comes in").values;
  say({{"prompts", {{"query", "the tide "}}}, {"default_prompt_name", "query"}});
  EXPECT_EQ(embed("comes in").values, embed("", {.prompt = "the tide comes in"}).values);
  EXPECT_EQ(embed("comes in", {.prompt = ""}).values, bare);
}

TEST_F(Prompts, AnUnknownNameIsAnErrorThatListsTheKnown) {
  try {
    embed("comes in", {.prompt_name = "title"});
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), "prompt name: expected one of the model's (document, query), got 'title'");
  }
  say({{"prompts", {{"query", "the tide "}}}, {"default_prompt_name", "title"}});
  EXPECT_THROW(embed("comes in"), Error);
}

TEST_F(Prompts, AWrongTypeIsAnErrorThatNamesTheFile) {
  dir_.write("1_Pooling/config.json", R"({"pooling_mode_mean_tokens": true, "include_prompt": "no"})");
  try {
    embed("comes in");
    FAIL();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::EndsWith("1_Pooling/config.json: expected true or false for include_prompt, got \"no\""));
  }
}

class PromptsOutOfTheMean : public Prompts {
 protected:
  PromptsOutOfTheMean() : Prompts({{"pooling_mode_mean_tokens", true}, {"include_prompt", false}}) {}
};

TEST_F(PromptsOutOfTheMean, TheMeanIsOverTheTextAndItsEnd) {
  Embedder e(Model::load(dir_.path(), {.kernels = "ref", .threads = 1}));
  const Matrix rows = e.embed(std::vector<std::string>{"the tide comes in"}, {.pooling = Pooling::kNone, .prompt = ""});
  const Tokenizer t = Tokenizer::load(dir_.path());
  const auto prompt = static_cast<int64_t>(t.encode("the tide ", true).size()) - 1;  // with the first special token, without the last
  ASSERT_GT(prompt, 2);
  ASSERT_EQ(rows.rows, static_cast<int64_t>(t.encode("the tide comes in", true).size()));
  std::vector<double> mean(static_cast<size_t>(rows.cols), 0.0);
  double norm = 0;
  for (int64_t r = prompt; r < rows.rows; ++r)
    for (int64_t c = 0; c < rows.cols; ++c) mean[c] += rows.values[r * rows.cols + c];
  for (const double x : mean) norm += x * x;
  const Matrix pooled = e.embed(std::vector<std::string>{"comes in"}, {.prompt_name = "query"});
  for (int64_t c = 0; c < rows.cols; ++c) EXPECT_NEAR(pooled.values[c], mean[c] / std::sqrt(norm), 1e-6) << c;
}

TEST(GgufPooling, IsThatOfTheFile) {
  const std::vector<std::vector<int32_t>> ids = {test::load_golden("bert-sentence").cases.back().ids};
  Embedder original(Model::load(test::fixture_path("bert-sentence"), {.kernels = "ref", .threads = 1}));
  std::ifstream in(test::fixture_path("gguf-bert-sentence") + "/model.gguf", std::ios::binary);
  std::string file((std::istreambuf_iterator<char>(in)), {});
  const std::string key = "bert.pooling_type";
  const size_t value = file.find(key) + key.size() + 4;  // behind the type of the value
  ASSERT_EQ(file.at(value), 1);
  const test::TempDir dir;
  for (const Pooling pooling : {Pooling::kMean, Pooling::kCls, Pooling::kLast}) {
    file[value] = static_cast<char>(pooling == Pooling::kMean ? 1 : pooling == Pooling::kCls ? 2 : 3);
    Embedder e(Model::load(dir.write("model.gguf", file), {.kernels = "ref", .threads = 1}));
    EXPECT_EQ(e.embed_ids(ids).values, original.embed_ids(ids, {.pooling = pooling}).values) << int{file[value]};
  }
  file[value] = 4;
  EXPECT_THROW(Embedder(Model::load(dir.write("model.gguf", file), {.kernels = "ref", .threads = 1})), Error);
}

}  // namespace
}  // namespace transom
