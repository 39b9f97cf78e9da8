// The frozen surface of the command line: commands, common flags, exit codes, what goes to which stream.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "cli/program.h"

namespace transom {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr const char* kCommands[] = {"chat",   "generate", "logits", "embed",    "score",   "tokenize", "template", "inspect", "verify",
                                     "bench",  "serve",    "doctor", "quantize", "convert", "train",    "eval",     "cache",
                                     "translate", "transcribe"};

TEST(Surface, HelpNamesEveryCommandAndEveryCommandHasHelp) {
  const Result help = run_transom({"--help"});
  EXPECT_EQ(help.code, 0);
  for (const char* command : kCommands) {
    EXPECT_THAT(help.out, HasSubstr(std::string("\n  ") + command + " "));
    const Result one = run_transom({command, "--help"});
    EXPECT_EQ(one.code, 0) << command;
    EXPECT_EQ(one.err, "") << command;
    for (const char* flag : {"--help", "--log-level", "--threads", "--device", "--dtype", "--kernels"})
      EXPECT_THAT(one.out, HasSubstr(flag)) << command;
  }
}

TEST(Surface, VersionIsOneLineOnStdout) {
  const Result version = run_transom({"--version"});
  EXPECT_EQ(version.code, 0);
  EXPECT_EQ(version.out, "transom " TRANSOM_VERSION "\n");
}

TEST(Surface, WrongUsageExitsWithTwoAndLeavesStdoutEmpty) {
  const std::vector<std::vector<std::string>> wrong = {
      {}, {"no-such-command"}, {"doctor", "--no-such-flag"}, {"doctor", "surplus"}, {"doctor", "--threads", "0"},
      {"doctor", "--threads", "many"}, {"doctor", "--device", "tpu"}, {"doctor", "--device", "cuda:"},
      {"doctor", "--dtype", "int8"}, {"doctor", "--log-level", "loud"}};
  for (const auto& args : wrong) {
    const Result r = run_transom(args);
    EXPECT_EQ(r.code, 2) << testing::PrintToString(args);
    EXPECT_EQ(r.out, "") << testing::PrintToString(args);
    EXPECT_THAT(r.err, HasSubstr("transom: ")) << testing::PrintToString(args);
  }
  EXPECT_EQ(run_transom({"doctor", "--threads", "2", "--device", "cuda:1", "--dtype", "bfloat16", "--kernels", "ref",
                         "--log-level", "debug"}).code, 0);
}

TEST(Surface, AnAbsentModelIsCalledModelAndFlagsBeforeItDoNotSwallowIt) {
  const Result absent = run_transom({"generate", "-p", "Hello"});
  EXPECT_EQ(absent.code, 2);
  EXPECT_THAT(absent.err, HasSubstr("transom: MODEL is required\n"));
  const Result r = run_transom({"generate", "--stop", "END", "/no/such/model", "-p", "Hello"});
  EXPECT_EQ(r.code, 1);
  EXPECT_THAT(r.err, HasSubstr("/no/such/model: no such file"));
}

TEST(Surface, AFailingCommandExitsWithOneAndSaysWhyOnStderr) {
  const Result r = run_transom({"serve", "some/model", "--port", "1"});
  EXPECT_EQ(r.code, 1);
  EXPECT_EQ(r.out, "");
  EXPECT_EQ(r.err, "transom: serve: this command is not there yet\n");
}

TEST(Surface, TheListOfFamiliesIsThatOfTheDocumentation) {
  const Result list = run_transom({"inspect", "--families"});
  EXPECT_EQ(list.code, 0);
  std::ifstream page(TRANSOM_SOURCE_DIR "/docs/models.md");
  const std::string documented((std::istreambuf_iterator<char>(page)), {});
  EXPECT_THAT(documented, testing::EndsWith("\n\n" + list.out)) << "run scripts/make_models_doc";
  const auto json = nlohmann::json::parse(run_transom({"inspect", "--families", "--json"}).out);
  EXPECT_GT(json.at("architectures").size(), 80u);
  EXPECT_EQ(json.at("architectures")[0].at("architecture"), "AlbertForMaskedLM");
  std::ifstream pins(TRANSOM_SOURCE_DIR "/scripts/requirements-fixtures.txt");
  const std::string pinned((std::istreambuf_iterator<char>(pins)), {});
  EXPECT_THAT(pinned, HasSubstr("transformers==" + json.at("transformers").get<std::string>() + "\n"));
}

TEST(Surface, AnUnwritableStdoutIsAFailure) {
  if (!fs::exists("/dev/full")) GTEST_SKIP();
  const Result r = run_program("/bin/sh", {"-c", TRANSOM_BINARY " doctor > /dev/full"});
  EXPECT_EQ(r.code, 1);
  EXPECT_THAT(r.err, HasSubstr("stdout"));
}

TEST(Doctor, JsonHasTheFieldsAndTextHasTheFacts) {
  const Result json = run_transom({"doctor", "--json"});
  ASSERT_EQ(json.code, 0) << json.err;
  const auto root = nlohmann::json::parse(json.out);
  for (const char* key : {"version", "build", "cpu", "memory_bytes", "gpus", "missing"})
    EXPECT_TRUE(root.contains(key)) << key;
  EXPECT_GE(root["cpu"]["default_threads"].get<int>(), 1);
  const Result text = run_transom({"doctor"});
  EXPECT_EQ(text.code, 0);
  EXPECT_THAT(text.out, HasSubstr(root["cpu"]["name"].get<std::string>()));
}

TEST(Doctor, SaysHowToGetTheDefaultModel) {
  const std::string empty = (fs::temp_directory_path() / "transom-no-such-cache").string();
  EXPECT_THAT(run_transom({"doctor"}, {{"XDG_CACHE_HOME", empty}}).out, HasSubstr("scripts/fetch_models"));
}

}  // namespace
}  // namespace transom
