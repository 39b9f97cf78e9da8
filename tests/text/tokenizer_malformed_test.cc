// Broken and hostile tokenizer.json files: one-line errors that say what was expected, no crash, no large allocation.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "text/pipeline.h"
#include "text/tokenizer_json.h"

namespace transom {
namespace {

using testing::HasSubstr;

Tokenizer load(std::string_view json) { return text::compile_tokenizer(text::parse_tokenizer_json(json, "t.json"), "t.json"); }

// The message that loading `json` fails with; it must be one line that names the file.
std::string failure(std::string_view json) {
  try {
    load(json);
  } catch (const Error& e) {
    const std::string what = e.what();
    EXPECT_EQ(what.find('\n'), std::string::npos) << what;
    EXPECT_EQ(what.rfind("t.json", 0), 0u) << what;
    EXPECT_LT(what.size(), 400u) << what;
    return what;
  }
  return "loaded";
}

// A BPE of three tokens with `rest` as further fields of the file.
std::string with(std::string_view rest) {
  return R"({"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":["a b"]})" + (rest.empty() ? "" : "," + std::string(rest)) + "}";
}

TEST(TokenizerMalformed, File) {
  EXPECT_THAT(failure(""), HasSubstr("expected JSON"));
  EXPECT_THAT(failure("{"), HasSubstr("expected JSON"));
  EXPECT_THAT(failure("[]"), HasSubstr("expected an object"));
  EXPECT_THAT(failure("{}"), HasSubstr("expected a field 'model'"));
  EXPECT_THAT(failure("{\"model\":\"\xff\"}"), HasSubstr("UTF-8"));
  EXPECT_THAT(failure(with(R"("version":"2.0")")), HasSubstr("version '1.0', got '2.0'"));
  EXPECT_THAT(failure(std::string(100000, '[')), HasSubstr("expected JSON"));
  std::string deep = R"({"type":"NFC"})";
  for (int i = 0; i < 300; ++i) deep = R"({"type":"Sequence","normalizers":[)" + deep + "]}";
  EXPECT_THAT(failure(with("\"normalizer\":" + deep)), HasSubstr("expected JSON"));
  EXPECT_EQ(failure(with("")), "loaded");
}

TEST(TokenizerMalformed, Vocabulary) {
  EXPECT_THAT(failure(R"({"model":{"type":"BPE","merges":[]}})"), HasSubstr("expected a field 'vocab'"));
  EXPECT_THAT(failure(R"({"model":{"type":"BPE","vocab":{"a":0}}})"), HasSubstr("expected a field 'merges'"));
  EXPECT_THAT(failure(R"({"model":{"type":"Magic","vocab":{"a":0}}})"), HasSubstr("got 'Magic'"));
  EXPECT_THAT(failure(R"({"model":{"type":"BPE","vocab":{"a":-1},"merges":[]}})"), HasSubstr("expected an id for token 'a'"));
  EXPECT_THAT(failure(R"({"model":{"type":"BPE","vocab":{"a":1.5},"merges":[]}})"), HasSubstr("expected an id for token 'a'"));
  EXPECT_THAT(failure(R"({"model":{"type":"BPE","vocab":{"a":4000000000},"merges":[]}})"), HasSubstr("got 4000000000 for token 'a'"));
  EXPECT_THAT(failure(R"({"model":{"type":"BPE","vocab":{"a":99999999999999999999},"merges":[]}})"), HasSubstr("expected"));
  EXPECT_THAT(failure(R"({"model":{"type":"BPE","vocab":{"a":0,"b":0},"merges":[]}})"), HasSubstr("one token for id 0, got 'a' and 'b'"));
  EXPECT_THAT(failure(R"({"model":{"type":"Unigram","vocab":{"a":0}}})"), HasSubstr("[token, score] pairs"));
  EXPECT_THAT(failure(R"({"model":{"type":"WordPiece","vocab":[["a",0.5]]}})"), HasSubstr("token: id"));
  EXPECT_THAT(failure(R"({"model":{"type":"Unigram","vocab":[["a"]]}})"), HasSubstr("[token, score]"));
  EXPECT_THAT(failure(R"({"model":{"type":"Unigram","unk_id":7,"vocab":[["a",0.5]]}})"), HasSubstr("unk_id below 1, got 7"));
}

TEST(TokenizerMalformed, Merges) {
  const auto merges = [](std::string_view m) { return R"({"model":{"type":"BPE","vocab":{"a":0,"b":1,"ab":2},"merges":)" + std::string(m) + "}}"; };
  EXPECT_THAT(failure(merges("[\"a\"]")), HasSubstr("merge 0, got 'a'"));
  EXPECT_THAT(failure(merges("[\"a b\",\"a b c\"]")), HasSubstr("merge 1, got 'a b c'"));
  EXPECT_THAT(failure(merges("[[\"a\"]]")), HasSubstr("two tokens in merge 0"));
  EXPECT_THAT(failure(merges("[[\"a\",\"b\",\"a\"]]")), HasSubstr("two tokens in merge 0"));
  EXPECT_THAT(failure(merges("[[1,2]]")), HasSubstr("a string in a merge"));
  EXPECT_THAT(failure(merges("[\"a z\"]")), HasSubstr("no 'z'"));
  EXPECT_THAT(failure(merges("[\"b a\"]")), HasSubstr("no 'ba'"));
  EXPECT_THAT(failure(merges("7")), HasSubstr("a list of merges"));
  EXPECT_THAT(failure(R"({"model":{"type":"BPE","dropout":0.1,"vocab":{"a":0},"merges":[]}})"), HasSubstr("without dropout"));
  // Merges that lead into each other end all the same: each one shortens the word.
  const Tokenizer t = load(R"({"model":{"type":"BPE","vocab":{"a":0,"aa":1,"aaa":2},"merges":["aa a","a aa","a a"]}})");
  EXPECT_EQ(t.encode("aaaaa"), (std::vector<int32_t>{2, 1}));
}

TEST(TokenizerMalformed, Stages) {
  EXPECT_THAT(failure(with(R"("normalizer":{"type":"Nothing"})")), HasSubstr("t.json normalizer: expected a stage type of tokenizer.json, got 'Nothing'"));
  EXPECT_THAT(failure(with(R"("normalizer":7)")), HasSubstr("normalizer: expected an object"));
  EXPECT_THAT(failure(with(R"("normalizer":{"type":"Replace","content":"x"})")), HasSubstr("expected a field 'pattern'"));
  EXPECT_THAT(failure(with(R"("normalizer":{"type":"Replace","content":"x","pattern":{"Regex":"(a"}})")), HasSubstr("expected a regular expression"));
  EXPECT_THAT(failure(with(R"("normalizer":{"type":"Precompiled","precompiled_charsmap":"****"})")), HasSubstr("base64"));
  EXPECT_THAT(failure(with(R"("normalizer":{"type":"Precompiled","precompiled_charsmap":"/////w=="})")), HasSubstr("precompiled_charsmap"));
  EXPECT_THAT(failure(with(R"("pre_tokenizer":{"type":"Split","pattern":{"String":" "},"behavior":"Sideways","invert":false})")), HasSubstr("Sideways"));
  EXPECT_THAT(failure(with(R"("pre_tokenizer":{"type":"FixedLength","length":0})")), HasSubstr("over 0"));
  EXPECT_THAT(failure(with(R"("pre_tokenizer":{"type":"Metaspace","replacement":"ab"})")), HasSubstr("one character"));
  EXPECT_THAT(failure(with(R"("post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"X"}}],"special_tokens":{}})")),
              HasSubstr("special token 'X'"));
  EXPECT_THAT(failure(with(R"("post_processor":{"type":"BertProcessing","sep":["x",-1],"cls":["x",0]})")), HasSubstr("expected a token id"));
  EXPECT_THAT(failure(with(R"("decoder":{"type":"Strip","content":"","start":0,"stop":0})")), HasSubstr("one character"));
  EXPECT_THAT(failure(with(R"("truncation":{"max_length":-1})")), HasSubstr("max_length"));
  EXPECT_THAT(failure(with(R"("added_tokens":[{"id":0,"content":7}])")), HasSubstr("content of an added token"));
}

// What a message quotes from the file can break neither its line nor its encoding.
TEST(TokenizerMalformed, QuotedText) {
  EXPECT_THAT(failure(R"({"model":{"type":"BPE","vocab":{"a\n\u001b[2J":-1},"merges":[]}})"), HasSubstr("token 'a??[2J'"));
  EXPECT_THAT(failure(with(R"("version":"\n")")), HasSubstr("got '?'"));
  std::string wide = "-";
  while (wide.size() < 200) wide += "\xE2\x96\x81";
  for (const std::string& field : {R"("version":")" + wide + '"', R"("normalizer":{"type":")" + wide + "\"}",
                                   R"("post_processor":{"type":"BertProcessing","sep":[")" + wide + R"("],"cls":["x",0]})"}) {
    const std::string what = failure(with(field));
    EXPECT_NO_THROW(Json(what).dump()) << field;  // throws where the UTF-8 is broken
  }
}

// A few replacements in a row would fill any memory: an error instead.
TEST(TokenizerMalformed, GrowthIsBounded) {
  std::string stages = R"({"type":"Replace","pattern":{"String":"a"},"content":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"})";
  std::string many = stages;
  for (int i = 0; i < 20; ++i) many += "," + stages;
  const Tokenizer normalizes = load(with(R"("normalizer":{"type":"Sequence","normalizers":[)" + many + "]}"));
  EXPECT_THROW(normalizes.encode("a"), Error);
  const Tokenizer decodes = load(with(R"("decoder":{"type":"Sequence","decoders":[)" + many + "]}"));
  EXPECT_THROW(decodes.decode(std::vector<int32_t>{0}), Error);
  std::string level = R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false})";
  many = level;
  for (int i = 0; i < 40; ++i) many += "," + level;
  EXPECT_THAT(failure(with(R"("pre_tokenizer":{"type":"Sequence","pretokenizers":[)" + many + "]}")), HasSubstr("ByteLevel"));
}

// Each property is written out as thousands of ranges: there is an end to how many a pattern may name.
TEST(TokenizerMalformed, PatternsAreBounded) {
  const auto split = [](const std::string& pattern) {
    return with(R"("pre_tokenizer":{"type":"Split","behavior":"Isolated","invert":false,"pattern":{"Regex":")" + pattern + "\"}}");
  };
  std::string borders, properties;
  for (int i = 0; i < 1000; ++i) borders += "\\\\b", properties += "\\\\p{Han}(?=\\\\p{L})";
  EXPECT_THAT(failure(split(borders)), HasSubstr("fewer properties"));
  EXPECT_THAT(failure(split(properties)), HasSubstr("fewer properties"));
  EXPECT_THAT(failure(split(std::string(70000, 'a') + "(?<=b)")), HasSubstr("at most 65536 bytes, got 70006"));
  EXPECT_EQ(failure(split("(?<=\\\\w)\\\\b\\\\s")), "loaded");
}

// Patterns that backtrack without end give up with an error.
TEST(TokenizerMalformed, HostilePatternsGiveUp) {
  for (const char* pattern : {"a*a*a*a*a*a*a*a*b", "(a|a|aa)*[xy]{2}"}) {
    const std::string split = R"("pre_tokenizer":{"type":"Split","behavior":"Isolated","invert":false,"pattern":{"Regex":")";
    const Tokenizer t = load(with(split + pattern + "\"}}"));
    EXPECT_THROW(t.encode(std::string(400, 'a') + 'x'), Error) << pattern;
  }
}

}  // namespace
}  // namespace transom
