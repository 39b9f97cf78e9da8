// `transom chat` on a tiny random checkpoint: what it answers is what `generate` gives for the rendered template; pipes,
// templates, full contexts; and a person's keys in a pseudo-terminal.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "cli/program.h"
#include "cli/terminal.h"
#include "transom/chat_template.h"
#include "transom/tokenizer.h"

namespace transom {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

const std::string kModel = TRANSOM_SOURCE_DIR "/tests/fixtures/llama-chat";
const std::string kPrompt = "\n> ";

class Chat : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "transom-chat-XXXXXX").string();
    dir_ = mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(dir_); }

  std::string write(const std::string& name, const std::string& text) {
    std::ofstream(dir_ / name) << text;
    return (dir_ / name).string();
  }
  static std::vector<std::string> greedy(std::vector<std::string> more = {}) {
    std::vector<std::string> args = {"chat", kModel, "--temperature", "0", "--max-tokens", "12", "--threads", "1"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
  }
  fs::path dir_;
};

// The answer to messages, by another way: render, tokenize, generate from ids.
std::string expected_answer(const nlohmann::ordered_json& messages, std::vector<std::string> more = {}) {
  const std::string text = ChatTemplate::load(kModel).render(messages, {});
  std::string ids;
  for (int32_t id : Tokenizer::load(kModel).encode(text, false)) ids += (ids.empty() ? "" : ",") + std::to_string(id);
  std::vector<std::string> args = {"generate", kModel, "--ids", ids, "--temperature", "0", "--max-tokens", "12", "--json"};
  args.insert(args.end(), more.begin(), more.end());
  const Result r = run_transom(args);
  EXPECT_EQ(r.code, 0) << r.err;
  return nlohmann::json::parse(r.out)["text"].get<std::string>();
}

TEST_F(Chat, OneQuestionIsAnsweredAsGenerateAnswersTheRenderedTemplate) {
  const Result r = run_transom(greedy({"-p", "How high is the tide?", "--system", "Answer briefly."}));
  ASSERT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(r.out, expected_answer({{{"role", "system"}, {"content", "Answer briefly."}},
                                    {{"role", "user"}, {"content", "How high is the tide?"}}}) + "\n");
}

TEST_F(Chat, APipeHasOneMessageALineAndRemembersTurns) {
  const Result r = run_transom(greedy(), {}, "Hello\nAgain?\n\n/new\nHello\n/exit\nnot read\n");
  ASSERT_EQ(r.code, 0) << r.err;
  const std::string first = expected_answer({{{"role", "user"}, {"content", "Hello"}}});
  const std::string second = expected_answer({{{"role", "user"}, {"content", "Hello"}},
                                              {{"role", "assistant"}, {"content", first}},
                                              {{"role", "user"}, {"content", "Again?"}}});
  EXPECT_EQ(r.out, first + "\n" + second + "\n" + first + "\n");
  EXPECT_THAT(r.out, Not(HasSubstr("> ")));
}

TEST_F(Chat, RetryAnswersTheSameQuestionAgain) {
  const Result r = run_transom(greedy(), {}, "Hello\n/retry\n");
  const std::string answer = expected_answer({{{"role", "user"}, {"content", "Hello"}}});
  EXPECT_EQ(r.out, answer + "\n" + answer + "\n");
}

TEST_F(Chat, ALineThatEndsWithABackslashGoesOn) {
  const Result r = run_transom(greedy(), {}, "Hello\\\nthere\n");
  EXPECT_EQ(r.out, expected_answer({{{"role", "user"}, {"content", "Hello\nthere"}}}) + "\n");
}

TEST_F(Chat, AModelWithoutATemplateNamesTheFlagAndAFileHelps) {
  for (const char* file : {"config.json", "generation_config.json", "model.safetensors", "tokenizer.json"})
    fs::create_symlink(fs::path(kModel) / file, dir_ / file);
  std::vector<std::string> args = greedy({"-p", "Hello"});
  args[1] = dir_.string();
  const Result without = run_transom(args);
  EXPECT_EQ(without.code, 1);
  EXPECT_THAT(without.err, HasSubstr("--chat-template"));
  std::ifstream config(fs::path(kModel) / "tokenizer_config.json");
  const std::string source = nlohmann::json::parse(config)["chat_template"].get<std::string>();
  args.insert(args.end(), {"--chat-template", write("t.jinja", source)});
  const Result with = run_transom(args);
  EXPECT_EQ(with.code, 0) << with.err;
  EXPECT_EQ(with.out, run_transom(greedy({"-p", "Hello"})).out);
}

TEST_F(Chat, AFullContextDropsTheOldestTurnsWithANotice) {
  std::string input;
  for (int i = 0; i < 8; ++i) input += "Tell me about the tide at Esker Head, part " + std::to_string(i) + "\n";
  const Result r = run_transom(greedy(), {}, input);
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_THAT(r.err, HasSubstr("context of 256 tokens is full"));
}

TEST_F(Chat, AMessageLongerThanTheContextIsAnErrorWithBothNumbers) {
  std::string words;
  for (int i = 0; i < 400; ++i) words += "tide ";
  const Result r = run_transom(greedy({"-p", words}));
  EXPECT_EQ(r.code, 1);
  EXPECT_EQ(r.out, "");
  EXPECT_THAT(r.err, HasSubstr("256"));
  const std::string rendered = ChatTemplate::load(kModel).render({{{"role", "user"}, {"content", words}}}, {});
  EXPECT_THAT(r.err, HasSubstr(std::to_string(Tokenizer::load(kModel).encode(rendered, false).size())));
}

TEST_F(Chat, ATerminalEditsLinesKeepsHistoryAndEndsWithCtrlD) {
  const std::map<std::string, std::string> env = {{"XDG_STATE_HOME", dir_.string()}, {"LC_ALL", "C"}};
  const std::vector<std::string> args = greedy({"--kernels", "ref"});  // the same answers on every machine
  {
    Terminal t(TRANSOM_BINARY, args, env);
    ASSERT_TRUE(t.wait_for(kPrompt)) << t.screen();
    t.type("/hexx\x7f\x7flp\r");
    ASSERT_TRUE(t.wait_for("/retry")) << t.screen();
    ASSERT_TRUE(t.wait_for(kPrompt)) << t.screen();
    t.type("Grüße 🌊\r");
    ASSERT_TRUE(t.wait_for(kPrompt)) << t.screen();
    t.type("half a line\x03");
    ASSERT_TRUE(t.wait_for(kPrompt)) << t.screen();
    t.type("dropped\x03/helx");  // one write: the line before Ctrl-C goes, the keys after it stay
    ASSERT_TRUE(t.wait_for(kPrompt)) << t.screen();
    t.type("\x7fp\r");
    ASSERT_TRUE(t.wait_for("/retry")) << t.screen();
    ASSERT_TRUE(t.wait_for(kPrompt)) << t.screen();
    t.type("\x04");
    EXPECT_EQ(t.wait_exit(), 0) << t.screen();
    EXPECT_THAT(t.screen(), HasSubstr("🌊"));
  }
  Terminal again(TRANSOM_BINARY, args, env);
  ASSERT_TRUE(again.wait_for(kPrompt)) << again.screen();
  again.type("\x1b[A\x1b[A");  // Up twice: the last line but one of the first run
  EXPECT_TRUE(again.wait_for("Grüße")) << again.screen();
  again.type("\x03");
  ASSERT_TRUE(again.wait_for(kPrompt)) << again.screen();
  again.type("/exit\r");
  EXPECT_EQ(again.wait_exit(), 0) << again.screen();
}

TEST_F(Chat, CtrlCStopsTheAnswerAndNotTheProgram) {
  // Without end tokens the answer runs to the end of the context, hundreds of steps away.
  const std::string start = expected_answer({{{"role", "user"}, {"content", "Hello"}}}, {"--ignore-eos"}).substr(0, 2);
  Terminal t(TRANSOM_BINARY, {"chat", kModel, "--temperature", "0", "--ignore-eos", "--threads", "1", "--kernels", "ref"},
             {{"XDG_STATE_HOME", dir_.string()}});
  ASSERT_TRUE(t.wait_for(kPrompt)) << t.screen();
  for (int i = 0; i < 3; ++i) {
    t.type("Hello\r");
    ASSERT_TRUE(t.wait_for("Hello\r\n" + start)) << t.screen();
    t.type("\x03");
    ASSERT_TRUE(t.wait_for(kPrompt)) << t.screen();
    t.type("/new\r");
    ASSERT_TRUE(t.wait_for(kPrompt)) << t.screen();
  }
  t.type("/exit\r");
  EXPECT_EQ(t.wait_exit(), 0) << t.screen();
}

}  // namespace
}  // namespace transom
