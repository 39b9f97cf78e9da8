// The public Tokenizer on small tokenizers written out here: ids, special tokens, bytes, streaming.
#include "transom/tokenizer.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "text/pipeline.h"
#include "text/tokenizer_json.h"

namespace transom {
namespace {

// A byte-level BPE that knows "he", "ll", "hell" and the single bytes of ASCII letters, space and a two-byte é.
constexpr std::string_view kBpe = R"({"version":"1.0","truncation":null,"padding":null,
  "added_tokens":[{"id":12,"content":"<s>","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}],
  "normalizer":null,"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true},
  "post_processor":{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}}],
    "pair":[],"special_tokens":{"<s>":{"id":"<s>","ids":[12],"tokens":["<s>"]}}},
  "decoder":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true},
  "model":{"type":"BPE","vocab":{"h":0,"e":1,"l":2,"o":3,"Ġ":4,"Ã":5,"©":6,"he":7,"ll":8,"hell":9,"Ġh":10,"Ã©":11},
    "merges":["h e","l l",["he","ll"]]}})";

Tokenizer from_json(std::string_view json) { return text::compile_tokenizer(text::parse_tokenizer_json(json, "test"), "test"); }

TEST(Tokenizer, RejectsMixedMergeLessFiles) {
  EXPECT_THROW(from_json(R"({"model":{"type":"BPE","vocab":{"a":0}}})"), Error);
}

TEST(Tokenizer, ByteLevelBpe) {
  std::string json(kBpe);
  json.replace(json.find(R"(["he","ll"])"), 11, R"("he ll")");
  const Tokenizer t = from_json(json);
  EXPECT_EQ(t.vocab_size(), 13);
  EXPECT_EQ(t.encode("hello"), (std::vector<int32_t>{12, 9, 3}));
  EXPECT_EQ(t.encode("hello<s> h", false), (std::vector<int32_t>{9, 3, 12, 4, 0}));
  EXPECT_EQ(t.encode("", false), std::vector<int32_t>{});
  const std::vector<int32_t> ids{12, 9, 3, 4, 5, 6};
  EXPECT_EQ(t.decode(ids), "<s>hello é");
  EXPECT_EQ(t.decode(ids, true), "hello é");
  EXPECT_TRUE(t.is_special(12));
  EXPECT_FALSE(t.is_special(9));
  EXPECT_EQ(t.id_to_token(10), "Ġh");
  EXPECT_EQ(t.token_bytes(10), " h");
  EXPECT_EQ(t.token_to_id("<s>"), 12);
  EXPECT_EQ(t.token_to_id("nothing"), std::nullopt);
  EXPECT_THROW(t.decode(std::vector<int32_t>{13}), Error);
  EXPECT_THROW(t.decode(std::vector<int32_t>{-1}), Error);
}

TEST(Tokenizer, StreamingNeverSplitsACharacter) {
  std::string json(kBpe);
  json.replace(json.find(R"(["he","ll"])"), 11, R"("he ll")");
  Detokenizer d(from_json(json));
  EXPECT_EQ(d.push(0), "h");
  EXPECT_EQ(d.push(5), "");
  EXPECT_EQ(d.push(6), "é");
  EXPECT_EQ(d.push(5), "");
  EXPECT_EQ(d.push(0), "\xEF\xBF\xBDh");
  EXPECT_EQ(d.push(5), "");
  EXPECT_EQ(d.finish(), "\xEF\xBF\xBD");
}

TEST(Tokenizer, BrokenBytesGoThrough) {
  std::string json(kBpe);
  json.replace(json.find(R"(["he","ll"])"), 11, R"("he ll")");
  const Tokenizer t = from_json(json);
  EXPECT_EQ(t.encode("h\xC3"), (std::vector<int32_t>{12, 0, 5}));
  EXPECT_EQ(t.encode("\xA9h\xFF", false), (std::vector<int32_t>{6, 0}));
}

}  // namespace
}  // namespace transom
