// The command `template`: a bare file and a model, variables, the clock, exit codes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "cli/program.h"
#include "support/temp_dir.h"

namespace transom {
namespace {

using testing::HasSubstr;

class TemplateCommand : public ::testing::Test {
 protected:
  test::TempDir dir_;  // first: the files below lie in it
  std::string messages_ = dir_.write("m.json", R"([{"role": "user", "content": "Größe 123456789012345678901"}])");
  std::string tools_ = dir_.write("t.json", R"([{"type": "function"}])");
  Result run(const std::string& source, std::vector<std::string> more = {}) {
    std::vector<std::string> args = {"template", dir_.write("x.jinja", source), "--messages", messages_};
    args.insert(args.end(), more.begin(), more.end());
    return run_transom(args);
  }
};

TEST_F(TemplateCommand, RendersABareFile) {
  const Result r = run("{{ bos_token }}{{ messages[0].content }}{{ n + 1 }}{{ tools|length }}{{ add_generation_prompt }}\n\n",
                       {"--set", "bos_token=<s>", "--set", "n=99999999999999999999", "--tools", tools_});
  EXPECT_EQ(r.code, 0) << r.err;
  EXPECT_EQ(r.out, "<s>Größe 1234567890123456789011000000000000000000001True\n");
  EXPECT_EQ(run("{{ add_generation_prompt }}{{ tools }}", {"--no-generation-prompt"}).out, "FalseNone");
}

TEST_F(TemplateCommand, JsonHoldsTheText) {
  const Result r = run("a\n'b'", {"--json"});
  EXPECT_EQ(nlohmann::json::parse(r.out), (nlohmann::json{{"text", "a\n'b'"}}));
}

TEST_F(TemplateCommand, TheClockCanBeFrozen) {
  const std::string source = "{{ strftime_now('%Y-%m-%d %H:%M:%S') }}";
  EXPECT_EQ(run(source, {"--set", "strftime_now=2024-07-26"}).out, "2024-07-26 00:00:00");
  EXPECT_EQ(run(source, {"--set", "strftime_now=2024-07-26T12:34:56"}).out, "2024-07-26 12:34:56");
  const Result utc = run_transom({"template", dir_.write("x.jinja", source), "--messages", messages_, "--set", "strftime_now=2024-07-26T12:34:56.5+02:00"},
                                 {{"TZ", "UTC"}});
  EXPECT_EQ(utc.out, "2024-07-26 10:34:56");
  EXPECT_EQ(run(source, {"--set", "strftime_now=noon"}).code, 2);
}

TEST_F(TemplateCommand, FailuresExitWithOneAndTheirOwnMessage) {
  const Result raised = run("a\n{{ raise_exception('Roles must alternate') }}");
  EXPECT_EQ(raised.code, 1);
  EXPECT_EQ(raised.out, "");
  EXPECT_THAT(raised.err, HasSubstr("line 2: Roles must alternate\n"));
  EXPECT_EQ(run("{{ 1 + }}").code, 1);
  EXPECT_EQ(run_transom({"template", dir_.write("x.jinja", "x"), "--messages", dir_ / "none.json"}).code, 1);
  EXPECT_EQ(run_transom({"template", dir_.write("x.jinja", "x")}).code, 2);
  EXPECT_EQ(run("x", {"--set", "novalue"}).code, 2);
}

TEST_F(TemplateCommand, AModelWithoutATemplateNamesTheFlag) {
  dir_.write("model/tokenizer_config.json", R"({"bos_token": "<s>"})");
  const Result none = run_transom({"template", dir_ / "model", "--messages", messages_});
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.err, HasSubstr("--chat-template"));
  const std::string file = dir_.write("given.txt", "{{ bos_token }}!");
  EXPECT_EQ(run_transom({"template", dir_ / "model", "--messages", messages_, "--chat-template", file}).out, "<s>!");
  dir_.write("model/chat_template.jinja", "{{ bos_token }}?");
  EXPECT_EQ(run_transom({"template", dir_ / "model", "--messages", "-"}, {}, R"([{"role": "user", "content": "x"}])").out, "<s>?");
}

}  // namespace
}  // namespace transom
