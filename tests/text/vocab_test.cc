// Vocabularies that are no tokenizer.json: ids equal those of the library that made each file (goldens and fixtures by
// scripts/make_vocab_fixtures.py), and broken files are one-line errors.
#include "text/vocab.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/file.h"
#include "support/temp_dir.h"
#include "text/pipeline.h"
#include "text/vocab_data.h"

namespace transom {
namespace {

using test::expect_ids;
using test::id_lines;
using test::TempDir;
using test::text_lines;
using test::vocab_fixture;
using ::testing::HasSubstr;

// Control symbols match in any text here, as in Hugging Face tokenizers; the sentencepiece library reads them as characters.
const std::vector<std::string> kControl = {"<s>", "</s>", "<unk>", "<pad>"};

std::string error_of(const std::string& path) {
  try {
    Tokenizer::load(path);
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << e.what();
    return e.what();
  }
  return "no error";
}

class SentencePieceModels : public ::testing::TestWithParam<const char*> {};

TEST_P(SentencePieceModels, IdsEqualTheLibrarys) {
  const std::string folder = vocab_fixture(std::string("spm_") + GetParam());
  const Tokenizer t = Tokenizer::load(folder);
  expect_ids(t, text_lines(vocab_fixture("texts.jsonl")), id_lines(folder + "/ids.jsonl"), false, kControl);
}

INSTANTIATE_TEST_SUITE_P(All, SentencePieceModels,
                         ::testing::Values("bpe_bytes", "bpe_unk", "bpe_noprefix", "unigram_nmt", "unigram_bytes", "unigram_suffix", "bpe_unused",
                                           "unigram_unused"));

TEST(SentencePiece, SpecialTokensAndDecoding) {
  const Tokenizer t = Tokenizer::load(vocab_fixture("spm_bpe_bytes"));
  EXPECT_EQ(t.bos_id(), 1);
  EXPECT_EQ(t.eos_id(), 2);
  EXPECT_EQ(t.unk_id(), 0);
  const std::vector<int32_t> ids = t.encode("Hello wörld \xF0\x9F\x98\x80");
  ASSERT_FALSE(ids.empty());
  EXPECT_EQ(ids[0], 1);
  EXPECT_EQ(t.decode(ids, true), "Hello wörld \xF0\x9F\x98\x80");
  EXPECT_EQ(t.decode(ids, false), "<s> Hello wörld \xF0\x9F\x98\x80");
  const std::vector<int32_t> inside = t.encode("a</s>a", false);
  EXPECT_EQ(inside[inside.size() / 2], 2);
  EXPECT_EQ(inside.front(), inside.back());  // the prefix comes again after a special token
  EXPECT_TRUE(t.encode("", false).empty());
}

TEST(SentencePiece, ClassesFrameAndShift) {
  TempDir dir;
  const std::string model = read_file(vocab_fixture("spm_unigram_nmt/tokenizer.model"));
  dir.write("t5/spiece.model", model);
  dir.write("t5/tokenizer_config.json", R"({"tokenizer_class": "T5TokenizerFast", "extra_ids": 2})");
  const Tokenizer plain = Tokenizer::load(vocab_fixture("spm_unigram_nmt")), t5 = Tokenizer::load(dir / "t5");
  const std::vector<int32_t> ids = plain.encode("the shells", false);
  std::vector<int32_t> framed = ids;
  framed.push_back(2);
  EXPECT_EQ(t5.encode("the shells"), framed);
  EXPECT_EQ(t5.vocab_size(), plain.vocab_size() + 2);
  EXPECT_EQ(t5.token_to_id("<extra_id_0>"), plain.vocab_size() + 1);

  dir.write("xlmr/sentencepiece.bpe.model", model);
  dir.write("xlmr/tokenizer_config.json", R"({"tokenizer_class": "XLMRobertaTokenizer"})");
  const Tokenizer xlmr = Tokenizer::load(dir / "xlmr");
  std::vector<int32_t> shifted{0};
  for (int32_t id : ids) shifted.push_back(id + 1);
  shifted.push_back(2);
  EXPECT_EQ(xlmr.encode("the shells"), shifted);
  EXPECT_EQ(xlmr.token_to_id("<mask>"), plain.vocab_size() + 1);
}

TEST(SentencePiece, ConfigAddsTokensAndFlags) {
  TempDir dir;
  dir.write("tokenizer.model", read_file(vocab_fixture("spm_bpe_bytes/tokenizer.model")));
  dir.write("tokenizer_config.json", R"({"tokenizer_class": "LlamaTokenizer", "add_bos_token": false, "add_eos_token": true, "legacy": false,
    "eos_token": {"content": "<|im_end|>"}, "pad_token": null,
    "added_tokens_decoder": {"700": {"content": "<|im_end|>", "special": true, "lstrip": false, "rstrip": true, "normalized": false, "single_word": false}}})");
  const Tokenizer t = Tokenizer::load(dir.path());
  const std::vector<int32_t> a = t.encode("a", false);
  EXPECT_EQ(t.eos_id(), 700);
  const std::vector<int32_t> ids = t.encode("a<|im_end|>  a");
  EXPECT_EQ(ids.back(), 700);
  EXPECT_EQ(ids[a.size()], 700);
  EXPECT_NE(ids[a.size() + 1], a[0]);  // legacy false: no second prefix, and rstrip took the spaces
}

TEST(SentencePiece, LongTextsAreNotQuadratic) {
  const Tokenizer bpe = Tokenizer::load(vocab_fixture("spm_bpe_bytes")), unigram = Tokenizer::load(vocab_fixture("spm_unigram_bytes"));
  std::string mixed;
  while (mixed.size() < 200000) mixed += "sea shells ";
  for (const std::string& text : {std::string(300000, 'a'), std::string(300000, ' '), std::string(300000, '='), mixed})
    for (const Tokenizer* t : {&bpe, &unigram}) EXPECT_EQ(t->decode(t->encode(text, false)), text);
}

// Each: the model file's bytes, and a part of the message.
TEST(SentencePiece, BrokenFilesAreErrors) {
  TempDir dir;
  const auto error = [&](const std::string& bytes) { return error_of(dir.write("tokenizer.model", bytes)); };
  const std::string model = read_file(vocab_fixture("spm_bpe_bytes/tokenizer.model"));
  for (size_t n = 1; n < model.size(); n += n < 400 ? 1 : 97) error(model.substr(0, n));  // any message, no crash
  EXPECT_THAT(error(""), HasSubstr("got none"));
  EXPECT_THAT(error("\x0a\xff\xff\xff\xff\x0f"), HasSubstr("left"));               // a piece of 4 GB
  EXPECT_THAT(error("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f"), HasSubstr("left"));
  EXPECT_THAT(error("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), HasSubstr("varint of at most 10"));
  EXPECT_THAT(error("\x0b"), HasSubstr("wire type of 0, 1, 2 or 5"));              // a group
  EXPECT_THAT(error(std::string("\x0a\x02\x08\x01", 4)), HasSubstr("wire type 2 for field 1"));
  EXPECT_THAT(error(std::string("\x0a\x05\x0a\x01" "a\x18\x09", 7)), HasSubstr("piece type of 1 to 6, got 9"));
  EXPECT_THAT(error(std::string("\x0a\x03\x0a\x01" "a", 5)), HasSubstr("one unknown piece, got 0"));
  const std::string unk("\x0a\x07\x0a\x03<u>\x18\x02", 9);
  EXPECT_THAT(error(unk + unk), HasSubstr("one unknown piece, got 2"));
  EXPECT_THAT(error(unk + std::string("\x12\x02\x18\x03", 4)), HasSubstr("a word model"));
  EXPECT_THAT(error(unk + std::string("\x12\x05\x18\x02\xb8\x02\x01"
                                      "", 7)), HasSubstr("no error"));              // an unknown field is skipped
  EXPECT_THAT(error(unk + std::string("\x12\x05\x18\x02\x98\x02\x01", 7)), HasSubstr("<0x00>"));  // byte_fallback without bytes
  const auto charsmap = [&](const std::string& map) {
    const std::string inner = std::string("\x12") + static_cast<char>(map.size()) + map;
    return error(unk + "\x1a" + static_cast<char>(inner.size()) + inner);
  };
  EXPECT_THAT(charsmap("abc"), HasSubstr("charsmap"));
  EXPECT_THAT(charsmap(std::string("\xff\xff\xff\xff" "aaaa", 8)), HasSubstr("charsmap"));
  EXPECT_THAT(charsmap(std::string("\x04\0\0\0" "aaaa" "b", 9)), HasSubstr("NUL"));
}

TEST(Tiktoken, QwenAndKimiEqualTheLibrary) {
  for (const char* name : {"tiktoken_qwen", "tiktoken_kimi"}) {
    const std::string folder = vocab_fixture(name);
    const Tokenizer t = Tokenizer::load(folder);
    const std::vector<std::string> texts = text_lines(folder + "/texts.jsonl");
    expect_ids(t, texts, id_lines(folder + "/ids.jsonl"), true);
    for (const std::string& text : texts)
      if (name == std::string("tiktoken_kimi")) EXPECT_EQ(t.decode(t.encode(text)), text);  // Qwen's normalizes
  }
  const Tokenizer kimi = Tokenizer::load(vocab_fixture("tiktoken_kimi"));
  EXPECT_EQ(kimi.bos_id(), kimi.token_to_id("[BOS]"));
  EXPECT_EQ(kimi.eos_id(), kimi.token_to_id("[EOS]"));
}

TEST(Tiktoken, BrokenBytesStayBytes) {
  const Tokenizer t = Tokenizer::load(vocab_fixture("tiktoken_kimi"));
  EXPECT_EQ(t.encode("\xFF\xFE").size(), 2u);
  EXPECT_EQ(t.decode(t.encode("a\xE4\xBD")), "a\xEF\xBF\xBD");
}

TEST(Tiktoken, ALlama3ModelFileIsKnownByItsContent) {
  TempDir dir;
  dir.write("tokenizer.model", read_file(vocab_fixture("tiktoken_kimi/tiktoken.model")));
  const Tokenizer t = Tokenizer::load(dir.path());
  const int32_t first = t.vocab_size() - 256;
  EXPECT_EQ(t.token_to_id("<|begin_of_text|>"), first);
  EXPECT_EQ(t.token_to_id("<|eot_id|>"), first + 9);
  EXPECT_EQ(t.token_to_id("<|reserved_special_token_247|>"), first + 255);
  EXPECT_EQ(t.encode("<|eot_id|>"), (std::vector<int32_t>{first, first + 9}));
}

TEST(Tiktoken, BrokenFilesAreErrors) {
  TempDir dir;
  const auto error = [&](const std::string& bytes) { return error_of(dir.write("x.tiktoken", bytes)); };
  EXPECT_THAT(error(""), HasSubstr("got none"));
  EXPECT_THAT(error("YQ==\n"), HasSubstr("line 1"));
  EXPECT_THAT(error("YQ== 0\nYg== x\n"), HasSubstr("line 2"));
  EXPECT_THAT(error("YQ== -1\n"), HasSubstr("line 1"));
  EXPECT_THAT(error("YQ== 4000000000\n"), HasSubstr("expected ranks below"));
  EXPECT_THAT(error("YQ== 99999999999999999999999\n"), HasSubstr("line 1"));
  EXPECT_THAT(error("YQ== 0\nYg== 0\n"), HasSubstr("second one for 0"));
  EXPECT_THAT(error("Y*== 0\n"), HasSubstr("base64"));
  EXPECT_THAT(error(" 0\n"), HasSubstr("line 1"));
}

TEST(Tekken, IdsEqualTiktokensWithTheSpecialTokensInFront) {
  const std::string folder = vocab_fixture("tekken");
  const Tokenizer t = Tokenizer::load(folder);
  expect_ids(t, text_lines(vocab_fixture("texts.jsonl")), id_lines(folder + "/ids.jsonl"), false, kControl);
  EXPECT_EQ(t.vocab_size(), 670);
  EXPECT_EQ(t.bos_id(), 1);
  EXPECT_EQ(t.encode("[INST]x[/INST]").front(), 1);
  EXPECT_EQ(t.encode("[INST]", false), std::vector<int32_t>{3});
  EXPECT_EQ(t.token_to_id("<SPECIAL_19>"), 19);
}

TEST(Tekken, BrokenFilesAreErrors) {
  TempDir dir;
  const auto error = [&](const std::string& config, const std::string& rest) {
    return error_of(dir.write("tekken.json", R"({"config": {"pattern": "a", )" + config + "}, " + rest + "}"));
  };
  const std::string sizes = R"("default_vocab_size": 3, "default_num_special_tokens": 2)";
  const std::string vocab = R"("vocab": [{"rank": 0, "token_bytes": "YQ=="}])";
  EXPECT_EQ(error(sizes, vocab), "no error");
  EXPECT_THAT(error_of(dir.write("tekken.json", "[]")), HasSubstr("expected an object"));
  EXPECT_THAT(error_of(dir.write("tekken.json", "{")), HasSubstr("JSON"));
  EXPECT_THAT(error(R"("default_vocab_size": 3)", vocab), HasSubstr("default_num_special_tokens"));
  EXPECT_THAT(error(R"("default_vocab_size": 99999999999, "default_num_special_tokens": 2)", vocab), HasSubstr("got 99999999999"));
  EXPECT_THAT(error(R"("default_vocab_size": 9000000, "default_num_special_tokens": 2)", vocab), HasSubstr("at most 1 others"));
  EXPECT_THAT(error(R"("default_vocab_size": 1, "default_num_special_tokens": 2)", vocab), HasSubstr("2 special tokens"));
  EXPECT_THAT(error(sizes, R"("vocab": [{"rank": 0}])"), HasSubstr("token_bytes"));
  EXPECT_THAT(error(sizes, R"("vocab": [{"rank": 0, "token_bytes": "YQ=="}, {"rank": 0, "token_bytes": "Yg=="}])"), HasSubstr("second one for 0"));
  EXPECT_THAT(error(sizes, vocab + R"(, "special_tokens": [{"rank": 2, "token_str": "x"}])"), HasSubstr("'rank' of 0 to 1, got 2"));
}

TEST(WordLists, IdsEqualTheTokenizersLibrarys) {
  for (const char* name : {"bert_uncased", "bert_cased", "gpt2", "roberta", "qwen2"}) {
    const Tokenizer t = Tokenizer::load(vocab_fixture(name));
    // The library was not told its special tokens there; "<s>" and the others are in both vocabularies' goldens.
    expect_ids(t, text_lines(vocab_fixture("texts.jsonl")), id_lines(vocab_fixture(name) + "/ids.jsonl"), true);
  }
}

TEST(WordLists, BrokenFilesAreErrors) {
  TempDir dir;
  const auto error = [&](const std::string& vocab, const std::string& merges) {
    dir.write("merges.txt", merges);
    return error_of(dir.write("vocab.json", vocab));
  };
  EXPECT_EQ(error(R"({"a": 0, "b": 1, "ab": 2})", "#version: 0.2\na b\n"), "no error");
  EXPECT_THAT(error(R"({"a": 0})", "a b\n"), HasSubstr("'b'"));
  EXPECT_THAT(error(R"({"a": 0})", "a b c\n"), HasSubstr("line 1"));
  EXPECT_THAT(error(R"({"a": 2147483648})", ""), HasSubstr("id in range"));
  EXPECT_THAT(error(R"({"a": 16000000})", ""), HasSubstr("id in range"));
  EXPECT_THAT(error(R"({"a": -1})", ""), HasSubstr("id in range"));
  EXPECT_THAT(error(R"({"a": 0, "b": 0})", ""), HasSubstr("second one for 0"));
  EXPECT_THAT(error("[]", ""), HasSubstr("expected an object"));
  dir.write("tokenizer_config.json", R"({"tokenizer_class": "OddTokenizer"})");
  EXPECT_THAT(error(R"({"a": 0})", ""), HasSubstr("got OddTokenizer"));
  TempDir bert;
  bert.write("vocab.txt", "a\nb\n");
  EXPECT_THAT(error_of(bert.path()), HasSubstr("expected the token [UNK]"));
  bert.write("vocab.txt", "[UNK]\na\n");
  bert.write("tokenizer_config.json", R"({"added_tokens_decoder": {"99999999": {"content": "x"}}})");
  EXPECT_THAT(error_of(bert.path()), HasSubstr("token id of 0 to"));
  bert.write("tokenizer_config.json", R"({"added_tokens_decoder": {"x": {"content": "x"}}})");
  EXPECT_THAT(error_of(bert.path()), HasSubstr("got the key 'x'"));
}

TEST(Dispatch, SaysWhatWasLookedFor) {
  TempDir dir;
  EXPECT_THAT(error_of(dir.path()), HasSubstr("tokenizer.model"));
  EXPECT_THAT(error_of(dir / "absent.model"), HasSubstr("absent.model"));
  EXPECT_THAT(error_of(dir.write("odd.bin", "xyz")), HasSubstr("expected a tokenizer"));
}

}  // namespace
}  // namespace transom
