// Ids and texts equal to Hugging Face `tokenizers` on the whole corpus: small tokenizers with every kind of stage (one hash
// for each ten texts), and the real tokenizers under ../shared (every id). scripts/make_tokenizer_corpus.py made the goldens.
#include <gtest/gtest.h>

#include <cstdio>
#include <memory>

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"
#include "text/pipeline.h"
#include "text/tokenizer_json.h"
#include "text/unicode.h"
#include "transom/error.h"

namespace transom {
namespace {

const std::string kData = std::string(TRANSOM_SOURCE_DIR) + "/tests/text/data/";

uint64_t fnv(std::string_view bytes, uint64_t h) {
  for (const char c : bytes) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001B3u;
  return h;
}
uint64_t hash_ids(const std::vector<int32_t>& ids, uint64_t h) {
  h = fnv({reinterpret_cast<const char*>(ids.data()), ids.size() * 4}, h);
  return fnv("\xff\xff\xff\xff", h);
}
uint64_t hash_text(const std::string& s, uint64_t h) { return fnv("\xff", fnv(s, h)); }

struct Results {
  std::vector<int32_t> ids, plain;
  std::string text, skipped;
};

// Decodes in one go and token by token; the two must agree, and every piece must be whole characters.
std::string decode_both(const Tokenizer& t, const std::vector<int32_t>& ids, bool skip) {
  const std::string whole = t.decode(ids, skip);
  Detokenizer stream(t, skip);
  std::string joined;
  for (const int32_t id : ids) {
    const std::string piece = stream.push(id);
    EXPECT_EQ(text::valid_utf8_prefix(piece), piece.size()) << "split character";
    joined += piece;
  }
  joined += stream.finish();
  EXPECT_EQ(joined, whole) << "streamed";
  return whole;
}

Results results_of(const Tokenizer& t, const std::string& text) {
  Results r;
  r.ids = t.encode(text, true);
  r.plain = t.encode(text, false);
  r.text = decode_both(t, r.ids, false);
  r.skipped = decode_both(t, r.ids, true);
  return r;
}

// The script's lists of arbitrary ids.
std::vector<std::vector<int32_t>> arbitrary_ids(uint64_t size, int count) {
  std::vector<std::vector<int32_t>> lists(count);
  uint64_t x = 12345;
  for (int n = 0; n < count; ++n)
    for (int i = 0; i < 1 + n % 12; ++i) {
      x = x * 6364136223846793005u + 1442695040888963407u;
      lists[n].push_back(static_cast<int32_t>((x >> 33) % size));
    }
  return lists;
}

std::string hex(uint64_t h) { return fmt::format("{:016x}", h); }

std::string describe(const std::string& text, const Results& r) {
  const Json all{{"input", text}, {"ids", r.ids}, {"plain", r.plain}, {"text", r.text}, {"skipped", r.skipped}};
  return all.dump(-1, ' ', true, Json::error_handler_t::replace);
}

TEST(TokenizerGolden, EveryStage) {
  constexpr uint64_t kSeed = 0xCBF29CE484222325u;
  const Json corpus = read_json_file(kData + "corpus.json"), goldens = read_json_file(kData + "goldens.json");
  ASSERT_GE(corpus.size(), 400u);
  for (const Json& variant : read_json_file(kData + "variants.json")) {
    const auto name = variant["name"].get<std::string>();
    Json spec = read_json_file(kData + "tokenizers/" + variant["base"].get<std::string>() + ".json");
    for (const auto& [key, value] : variant["patch"].items()) (key.starts_with("model.") ? spec["model"][key.substr(6)] : spec[key]) = value;
    const Tokenizer t = text::compile_tokenizer(text::parse_tokenizer_json(spec.dump(), name), name);
    const Json& expected = goldens.at(name);
    ASSERT_EQ(expected.size(), (corpus.size() + 9) / 10 + 1) << name;
    for (size_t group = 0; group + 1 < expected.size(); ++group) {
      uint64_t h = kSeed;
      std::string log;
      for (size_t i = group * 10; i < std::min(corpus.size(), group * 10 + 10); ++i) {
        const auto text = corpus[i].get<std::string>();
        const Results r = results_of(t, text);
        h = hash_text(r.skipped, hash_text(r.text, hash_ids(r.plain, hash_ids(r.ids, h))));
        log += describe(text, r).substr(0, 2000) + "\n";
      }
      EXPECT_EQ(hex(h), expected[group].get<std::string>()) << name << ", one of these differs:\n" << log;
    }
    uint64_t h = kSeed;
    for (const auto& ids : arbitrary_ids(static_cast<uint64_t>(t.vocab_size()), 60))
      h = hash_text(decode_both(t, ids, true), hash_text(decode_both(t, ids, false), hash_ids({}, hash_ids({}, h))));
    EXPECT_EQ(hex(h), expected.back().get<std::string>()) << name << ", decoding arbitrary ids";
  }
}

// What `xz -dc path` writes.
std::string unpack(const std::string& path) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(("xz -dc '" + path + "'").c_str(), "r"), pclose);
  std::string out;
  char block[65536];
  for (size_t n; pipe && (n = fread(block, 1, sizeof block, pipe.get())) > 0;) out.append(block, n);
  return out;
}

class SharedTokenizer : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    packed_ = std::string(TRANSOM_SOURCE_DIR) + "/../shared/tokenizers/" + GetParam() + "/tokenizer.json.xz";
    if (!file_exists(packed_)) GTEST_SKIP() << "SKIPPED, NOT TESTED: no " << packed_;
  }
  Tokenizer load() const { return text::compile_tokenizer(text::parse_tokenizer_json(unpack(packed_), packed_), packed_); }
  std::string packed_;
};

TEST_P(SharedTokenizer, EqualsTheReference) {
  const Tokenizer t = load();
  const Json corpus = read_json_file(kData + "corpus.json");
  const Json golden = parse_json(unpack(kData + "shared_" + GetParam() + ".json.xz"), "golden");
  ASSERT_EQ(golden["ids"].size(), corpus.size());
  for (size_t i = 0; i < corpus.size(); ++i) {
    const Results r = results_of(t, corpus[i].get<std::string>());
    EXPECT_EQ(Json(r.ids), golden["ids"][i]) << corpus[i].dump();
    EXPECT_EQ(Json(r.plain), golden["plain"][i]) << corpus[i].dump();
    EXPECT_EQ(r.text, golden["text"][i].get<std::string>());
    EXPECT_EQ(r.skipped, golden["skipped"][i].get<std::string>());
  }
  const auto lists = arbitrary_ids(static_cast<uint64_t>(t.vocab_size()), 200);
  for (size_t i = 0; i < lists.size(); ++i) {
    EXPECT_EQ(decode_both(t, lists[i], false), golden["arbitrary"][i][0].get<std::string>());
    EXPECT_EQ(decode_both(t, lists[i], true), golden["arbitrary"][i][1].get<std::string>());
  }
}

// Completes at all only when nothing is quadratic.
TEST_P(SharedTokenizer, LongWordsAndRuns) {
  const Tokenizer t = load();
  std::string word;
  for (int64_t i = 0; word.size() < 100000; ++i) word += static_cast<char>('a' + (i * i + i / 7) % 26);
  for (const std::string& text : {std::string(1000000, 'a'), std::string(1000000, ' '), std::string(1000000, '\n'), word, std::string(200000, '\xC3')}) {
    const auto ids = t.encode(text, false);
    EXPECT_FALSE(ids.empty());
    if (static_cast<unsigned char>(text[0]) < 0x80) EXPECT_EQ(t.decode(ids), text);
  }
}

INSTANTIATE_TEST_SUITE_P(Real, SharedTokenizer, testing::Values("gemma3", "llama3_1", "qwen3"), [](const auto& i) { return std::string(i.param); });

}  // namespace
}  // namespace transom
