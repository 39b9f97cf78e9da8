// `transom tokenize`: every way in and out, on the checked-in vocabularies.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <sstream>

#include "cli/program.h"
#include "support/temp_dir.h"

namespace transom {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

std::string fixture(const std::string& name) { return std::string(TRANSOM_SOURCE_DIR) + "/tests/text/data/vocab/" + name; }

std::string read(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

TEST(Tokenize, TextFromArgumentFileAndStdin) {
  const std::string model = fixture("gpt2");
  const Result argument = run_transom({"tokenize", model, "the sea"});
  EXPECT_EQ(argument.code, 0);
  EXPECT_EQ(argument.err, "");
  const Result json = run_transom({"tokenize", "--json", model, "the sea"});
  EXPECT_EQ(json.out, "{\"ids\":[" + argument.out.substr(0, argument.out.size() - 1) + "]}\n");
  EXPECT_EQ(run_transom({"tokenize", "--model-path", model}, {}, "the sea").out, argument.out);
  test::TempDir dir;
  EXPECT_EQ(run_transom({"tokenize", model, "--file", dir.write("t", "the sea")}).out, argument.out);
  EXPECT_EQ(run_transom({"tokenize", model, "--decode", argument.out}).out, "the sea\n");
  EXPECT_EQ(run_transom({"tokenize", model, "--decode", "-", "--json"}, {}, "[" + argument.out + "]").out, "{\"text\":\"the sea\"}\n");
  EXPECT_EQ(run_transom({"tokenize", model, ""}).out, "\n");
}

TEST(Tokenize, SpecialTokensAreAddedAndSkipped) {
  const std::string model = fixture("bert_uncased");
  const std::string with = run_transom({"tokenize", model, "sea"}).out, without = run_transom({"tokenize", model, "sea", "--no-special"}).out;
  EXPECT_EQ(with, "2," + without.substr(0, without.size() - 1) + ",3\n");
  EXPECT_EQ(run_transom({"tokenize", model, "--decode", with}).out, "[CLS] sea [SEP]\n");
  EXPECT_EQ(run_transom({"tokenize", model, "--decode", with, "--no-special"}).out, "sea\n");
}

TEST(Tokenize, LinesAreJsonAndOnlyNewlinesEndThem) {
  const std::string model = fixture("tiktoken_kimi");
  const Result ids = run_transom({"tokenize", model, "--lines", "--file", fixture("tiktoken_kimi/texts.jsonl")});
  EXPECT_EQ(ids.code, 0);
  std::string expected, lists = read(fixture("tiktoken_kimi/ids.jsonl"));
  for (size_t at = 0, end; (end = lists.find('\n', at)) != std::string::npos; at = end + 1) expected += "{\"ids\":" + lists.substr(at, end - at) + "}\n";
  EXPECT_EQ(ids.out, expected);
  const Result texts = run_transom({"tokenize", model, "--lines", "--decode", "-"}, {}, lists);
  EXPECT_EQ(texts.code, 0);
  EXPECT_EQ(std::count(texts.out.begin(), texts.out.end(), '\n'), std::count(lists.begin(), lists.end(), '\n'));
  EXPECT_EQ(run_transom({"tokenize", model, "--lines"}, {}, "\"a\xE2\x80\xA8 b\"\n").out.substr(0, 7), "{\"ids\":");
  EXPECT_THAT(run_transom({"tokenize", model, "--lines", "--decode", "-"}, {}, "[97]\n[]\n").out, HasSubstr("}\n{\"text\":\"\"}\n"));
}

TEST(Tokenize, AConversationBecomesItsPrompt) {
  test::TempDir dir;
  dir.write("vocab.json", read(fixture("gpt2/vocab.json")));
  dir.write("merges.txt", read(fixture("gpt2/merges.txt")));
  dir.write("chat_template.jinja", "{% for m in messages %}<|endoftext|>{{ m.role }}: {{ m.content }}{% endfor %}{% if add_generation_prompt %}>{% endif %}");
  const std::string messages = dir.write("m.json", R"([{"role": "user", "content": "the sea"}])");
  const std::string ids = run_transom({"tokenize", dir.path(), "--template", messages}).out;
  EXPECT_EQ(ids, run_transom({"tokenize", dir.path(), "<|endoftext|>user: the sea>"}).out);
  EXPECT_THAT(ids, StartsWith("0,"));
  EXPECT_EQ(run_transom({"tokenize", dir.path(), "--template", dir.write("bad.json", "[")}).code, 1);
}

TEST(Tokenize, MistakesAreOneLineAndAnExitCode) {
  const std::string model = fixture("gpt2");
  const auto failing = [](const std::vector<std::string>& args, const std::string& input, int code, const std::string& message) {
    const Result r = run_transom(args, {}, input);
    EXPECT_EQ(r.code, code) << r.err;
    EXPECT_EQ(r.out, "");
    EXPECT_THAT(r.err, StartsWith("transom: "));
    EXPECT_THAT(r.err, HasSubstr(message));
  };
  failing({"tokenize"}, "", 2, "is required");
  failing({"tokenize", model, "a", "--file", "b"}, "", 2, "expected one of");
  failing({"tokenize", model, "a", "--lines"}, "", 2, "--lines");
  failing({"tokenize", model, "--lines", "--decode", "1"}, "", 2, "--decode -");
  failing({"tokenize", model, "--decode", "600"}, "", 1, "600");
  failing({"tokenize", model, "--decode", "-1"}, "", 1, "-1");
  failing({"tokenize", model, "--decode", "99999999999999999999"}, "", 1, "expected");
  failing({"tokenize", model, "--decode", "a"}, "", 1, "expected JSON");
  failing({"tokenize", model, "--decode", "1,,2"}, "", 1, "expected JSON");
  failing({"tokenize", model, "--lines"}, "not json\n", 1, "stdin line 1");
  failing({"tokenize", model, "--lines"}, "[1]\n", 1, "expected a JSON string");
  failing({"tokenize", model, "--file", "/no/such/file"}, "", 1, "/no/such/file");
  test::TempDir dir;
  failing({"tokenize", dir.path(), "a"}, "", 1, "tokenizer.json");
}

}  // namespace
}  // namespace transom
