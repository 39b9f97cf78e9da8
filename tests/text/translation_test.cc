// Tokenizers of translation models without tokenizer.json: ids and texts equal transformers' (fixtures of scripts/fixtures/translation.py),
// and the layouts of ids around a sentencepiece model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "support/fixture.h"
#include "support/temp_dir.h"
#include "text/vocab.h"
#include "text/vocab_data.h"
#include "transom/tokenizer.h"

namespace transom {
namespace {

using test::TempDir;
using testing::ElementsAre;
using testing::HasSubstr;

class Translation : public testing::TestWithParam<const char*> {};

TEST_P(Translation, IdsAndTextsEqualTransformers) {
  const std::string path = test::fixture_path(GetParam());
  const Tokenizer t = Tokenizer::load(path);
  const Json file = read_json_file(path + "/golden.json");
  for (const Json& c : file.at("texts")) {
    const auto text = c["text"].get<std::string>();
    const auto ids = c["ids"].get<std::vector<int32_t>>();
    EXPECT_EQ(t.encode(text), ids) << text;
    EXPECT_EQ(t.encode(text, false), c["plain"].get<std::vector<int32_t>>()) << text;
    for (const bool skip : {false, true}) {
      const auto want = c[skip ? "skipped" : "decoded"].get<std::string>();
      EXPECT_EQ(t.decode(ids, skip), want) << text;
      Detokenizer stream(t, skip);
      std::string joined;
      for (const int32_t id : ids) joined += stream.push(id);
      EXPECT_EQ(joined + stream.finish(), want) << text;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Fixtures, Translation, testing::Values("marian-text", "m2m100-text"), [](const testing::TestParamInfo<const char*>& info) {
  return std::string(info.param).substr(0, std::string(info.param).find('-'));
});

std::string error_of(const std::string& path) {
  try {
    Tokenizer::load(path);
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(TranslationFiles, WhatCannotBeReadIsOneError) {
  TempDir dir;
  const std::string marian = test::fixture_path("marian-text");
  dir.write("source.spm", read_file(marian + "/source.spm"));
  dir.write("vocab.json", R"({"</s>": 0, "a": 1})");
  EXPECT_THAT(error_of(dir.path()), HasSubstr("expected the tokens <unk> and </s>"));
  dir.write("vocab.json", read_file(marian + "/vocab.json"));
  dir.write("tokenizer_config.json", R"({"separate_vocabs": true})");
  EXPECT_THAT(error_of(dir.path()), HasSubstr("expected one vocabulary for both languages"));
  dir.write("tokenizer_config.json", "{}");
  dir.write("source.spm", "no model");
  EXPECT_THAT(error_of(dir.path()), HasSubstr("source.spm"));
}

// Around a model of n pieces, three of which are its own <unk>, <s> and </s>.
TEST(TranslationFiles, LanguagesStandBehindThePieces) {
  TempDir dir;
  const std::string model = read_file(test::vocab_fixture("spm_unigram_nmt/tokenizer.model"));
  const auto load = [&](const std::string& name, const std::string& more) {
    dir.write(name + "/sentencepiece.bpe.model", model);
    dir.write(name + "/tokenizer_config.json", R"({"tokenizer_class": ")" + name + "\"" + more + "}");
    return Tokenizer::load(dir / name);
  };
  const Tokenizer plain = Tokenizer::load(test::vocab_fixture("spm_unigram_nmt"));
  const std::string text = "the shells";
  std::vector<int32_t> shifted = plain.encode(text, false);
  for (int32_t& id : shifted) ++id;
  const auto around = [&](std::vector<int32_t> before, const std::vector<int32_t>& after) {
    before.insert(before.end(), shifted.begin(), shifted.end());
    before.insert(before.end(), after.begin(), after.end());
    return before;
  };
  const int32_t first = plain.vocab_size() + 1;  // of the languages
  const Tokenizer mbart = load("MBartTokenizer", R"(, "src_lang": "fr_XX")");
  EXPECT_EQ(mbart.encode(text), around({}, {2, first + 7}));
  EXPECT_EQ(mbart.token_to_id("<mask>"), first + 25);
  const Tokenizer mbart50 = load("MBart50Tokenizer", "");
  EXPECT_EQ(mbart50.encode(text), around({first + 3}, {2}));
  EXPECT_EQ(mbart50.token_to_id("sl_SI"), first + 51);
  const Tokenizer nllb = load("NllbTokenizer", R"(, "src_lang": "fra_Latn")");
  EXPECT_EQ(nllb.encode(text), around({first + 56}, {2}));
  EXPECT_EQ(nllb.token_to_id("eng_Latn"), first + 46);
  EXPECT_EQ(nllb.token_to_id("<mask>"), first + 202);
  EXPECT_TRUE(nllb.is_special(first + 56));
  EXPECT_EQ(nllb.decode(nllb.encode(text), true), text);
  EXPECT_EQ(load("NllbTokenizer", R"(, "legacy_behaviour": true)").encode(text), around({}, {2, first + 46}));
  dir.write("MBartTokenizer/tokenizer_config.json", R"({"tokenizer_class": "MBartTokenizer", "src_lang": "xx_XX"})");
  EXPECT_THAT(error_of(dir / "MBartTokenizer"), HasSubstr("expected a language of the model as src_lang, got xx_XX"));
}

TEST(TranslationFiles, PegasusCountsFromItsOffset) {
  TempDir dir;
  const std::string folder = test::vocab_fixture("spm_pegasus");
  dir.write("spiece.model", read_file(folder + "/spiece.model"));
  dir.write("tokenizer_config.json", R"({"tokenizer_class": "PegasusTokenizer"})");
  const Tokenizer plain = Tokenizer::load(folder), t = Tokenizer::load(dir.path());
  std::vector<int32_t> want = plain.encode("the sea \u00fc", false);
  for (int32_t& id : want) id += 103;
  want.push_back(1);
  EXPECT_EQ(t.encode("the sea \u00fc"), want);
  EXPECT_EQ(t.token_to_id("<mask_1>"), 2);
  EXPECT_EQ(t.token_to_id("<unk_102>"), 104);
  EXPECT_EQ(t.unk_id(), 105);
  EXPECT_THAT(t.encode("the sea is calm"), ElementsAre(108, 109, 126, 106, 124, 149, 1));  // as transformers' PegasusTokenizer
  EXPECT_EQ(t.decode(t.encode("the sea"), true), "the sea");
}

TEST(TranslationFiles, WhisperFramesATextWithItsTask) {
  TempDir dir;
  dir.write("vocab.json", R"({"a": 0, "b": 1, "ab": 2, "<|endoftext|>": 3})");
  dir.write("merges.txt", "#version: 0.2\na b\n");
  dir.write("tokenizer_config.json", R"({"tokenizer_class": "WhisperTokenizer", "added_tokens_decoder": {
    "4": {"content": "<|startoftranscript|>", "special": true}, "5": {"content": "<|notimestamps|>", "special": true}}})");
  EXPECT_THAT(Tokenizer::load(dir.path()).encode("ba"), ElementsAre(4, 5, 1, 0, 3));
}

}  // namespace
}  // namespace transom
