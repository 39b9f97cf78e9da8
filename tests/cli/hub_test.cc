// Hub ids as MODEL, and `transom cache`, against a hub on this machine (tests/hub/server.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "cli/program.h"
#include "hub/hub_server.h"

namespace transom {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

const std::string kFixture = TRANSOM_SOURCE_DIR "/tests/fixtures/llama-sharded";

class HubCommands : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(server_.root() + "/acme");
    fs::copy(kFixture, server_.root() + "/acme/tide");
  }
  Result run(const std::vector<std::string>& args, std::map<std::string, std::string> env = {}) {
    env.insert({{"HF_ENDPOINT", server_.endpoint()}, {"HF_HUB_CACHE", dir_ / "hub"}, {"HF_TOKEN_PATH", dir_ / "none"}, {"no_proxy", "127.0.0.1"},
                {"HF_HUB_OFFLINE", ""}, {"TRANSFORMERS_OFFLINE", ""}, {"HF_TOKEN", ""}});
    return run_program(program_, args, env);
  }

  test::HubServer server_;
  test::TempDir dir_;
  std::string program_ = TRANSOM_BINARY;
};

TEST_F(HubCommands, AHubIdIsDownloadedOnceAndRunsAsItsFilesDo) {
  const Result local = run({"logits", kFixture, "--ids", "1,2,3", "--json"});
  ASSERT_EQ(local.code, 0) << local.err;
  const Result first = run({"logits", "acme/tide", "--ids", "1,2,3", "--json"});
  EXPECT_EQ(first.out, local.out) << first.err;
  server_.set();
  EXPECT_EQ(run({"logits", "acme/tide@main", "--ids", "1,2,3", "--json"}, {{"HF_HUB_OFFLINE", "1"}}).out, local.out);
  EXPECT_TRUE(server_.requests().empty());

  const auto list = json::parse(run({"cache", "list", "--json"}).out);
  ASSERT_EQ(list["repositories"].size(), 1u);
  EXPECT_EQ(list["repositories"][0]["id"], "acme/tide");
  EXPECT_EQ(list["repositories"][0]["revisions"][0]["refs"], json::array({"main"}));
  EXPECT_GT(list["bytes"].get<int64_t>(), 10000);
  EXPECT_THAT(run({"cache", "list"}).out, HasSubstr("acme/tide "));
  EXPECT_EQ(json::parse(run({"cache", "verify", "--json"}).out)["problems"].size(), 0u);
  const Result removed = run({"cache", "rm", "acme/tide", "--json"});
  EXPECT_EQ(json::parse(removed.out)["removed"][0]["bytes"], list["bytes"]);
  EXPECT_EQ(run({"cache", "rm", "acme/tide"}).code, 1);
  EXPECT_EQ(json::parse(run({"cache", "list", "--json"}).out)["bytes"], 0);
}

TEST_F(HubCommands, VerifyFindsADamagedFile) {
  const Result path = run({"cache", "fetch", "acme/tide"});
  ASSERT_EQ(path.code, 0) << path.err;
  const std::string config = path.out.substr(0, path.out.size() - 1) + "/config.json";
  std::ofstream(config, std::ios::in) << " ";
  const Result report = run({"cache", "verify", "acme/tide"});
  EXPECT_EQ(report.code, 1);
  EXPECT_THAT(report.out, HasSubstr("acme/tide/config.json: expected the hash"));
}

TEST_F(HubCommands, AnAdapterMayBeAHubIdToo) {
  const std::string fixtures = TRANSOM_SOURCE_DIR "/tests/fixtures/";
  fs::copy(fixtures + "lora-all", server_.root() + "/acme/lora");
  const std::vector<std::string> args{"logits", fixtures + "llama-tied", "--ids", "1,2,3", "--json", "--adapter"};
  const auto with = [&](const std::string& adapter) {
    std::vector<std::string> all = args;
    all.push_back(adapter);
    return run(all);
  };
  const Result local = with(fixtures + "lora-all"), fetched = with("acme/lora");
  EXPECT_EQ(fetched.code, 0) << fetched.err;
  EXPECT_EQ(fetched.out, local.out);
}

TEST_F(HubCommands, APathNeverGoesToTheNetwork) {
  server_.set();
  fs::create_directories(dir_ / "models");
  for (const std::string& path : {std::string("./acme/tide"), std::string("/acme/tide"), std::string("acme/tide.gguf"), dir_ / "models/x", std::string("acme")})
    EXPECT_EQ(run({"inspect", path}).code, 1) << path;
  EXPECT_TRUE(server_.requests().empty());
  EXPECT_THAT(run({"inspect", "--help"}).out, HasSubstr("never uses the network"));
  const Result offline = run({"inspect", "acme/tide"}, {{"HF_HUB_OFFLINE", "1"}});
  EXPECT_EQ(offline.code, 1);
  EXPECT_THAT(offline.err, HasSubstr("acme/tide: not in the cache"));
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(HubCommands, TheTokenFlagsComeBeforeTheEnvironment) {
  server_.write("acme/tide", ".gated", "hf_right");
  const Result none = run({"cache", "fetch", "acme/tide"});
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.err, testing::AllOf(HasSubstr("gated"), HasSubstr("HF_TOKEN"), HasSubstr(server_.endpoint() + "/acme/tide")));
  EXPECT_EQ(run({"cache", "fetch", "acme/tide", "--hf-token", "hf_wrong"}, {{"HF_TOKEN", "hf_right"}}).code, 1);
  EXPECT_EQ(run({"inspect", "acme/tide", "--hf-token", "hf_wrong", "--token", "hf_right"}).code, 0);
}

TEST_F(HubCommands, CtrlCEndsWith130AndTheNextRunGoesOn) {
  if (!fs::exists("/usr/bin/timeout")) GTEST_SKIP() << "no timeout";
  server_.write("acme/slow", "m.gguf", test::noise(1000000, 1));
  server_.set(json::parse(R"([{"match": "/cdn/", "stall": [400000, 20]}])"));
  program_ = "/usr/bin/timeout";
  // In the foreground: to the program alone, not to its group as well, which would be a second Ctrl-C.
  const Result stopped = run({"--foreground", "--preserve-status", "-s", "INT", "3", TRANSOM_BINARY, "cache", "fetch", "acme/slow"});
  EXPECT_EQ(stopped.code, 130);
  EXPECT_THAT(stopped.err, HasSubstr("goes on"));
  program_ = TRANSOM_BINARY;
  EXPECT_GT(json::parse(run({"cache", "list", "--json"}).out)["repositories"][0]["incomplete_bytes"].get<int64_t>(), 100000);
  server_.set();
  EXPECT_EQ(run({"cache", "fetch", "acme/slow"}).code, 0);
  EXPECT_LT(server_.bytes_sent(), 900000);
}

TEST_F(HubCommands, WrongWordsAreWrongUsage) {
  const std::vector<std::vector<std::string>> wrong = {{"cache"}, {"cache", "purge"}, {"cache", "rm"}, {"cache", "fetch", "/x"}, {"cache", "list", "x"}};
  for (const std::vector<std::string>& args : wrong)
    EXPECT_EQ(run(args).code, 2) << testing::PrintToString(args);
}

}  // namespace
}  // namespace transom
