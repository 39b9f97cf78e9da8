// Hugging Face's own client against the same server and the same cache: each uses what the other downloaded. Needs a Python with
// huggingface_hub: python3, or the one that TRANSOM_HUB_PYTHON names.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "base/file.h"
#include "hub/cache.h"
#include "hub/fetch.h"
#include "hub/hub_server.h"
#include "support/sha256.h"

namespace transom::hub {
namespace {

using test::HubServer;
using test::noise;

std::string shell_word(const std::string& text) { return "'" + text + "'"; }

class OfficialClient : public testing::Test {
 protected:
  void SetUp() override {
    const char* named = std::getenv("TRANSOM_HUB_PYTHON");
    python_ = named ? named : "python3";
    if (std::system((shell_word(python_) + " -c 'import importlib.util as u; exit(u.find_spec(\"huggingface_hub\") is None)' 2> /dev/null").c_str()) != 0)
      GTEST_SKIP() << "SKIPPED: " << python_ << " has no huggingface_hub; make an environment with it and set TRANSOM_HUB_PYTHON to its python";
    ::setenv("no_proxy", "127.0.0.1", 1);
    server_.write("acme/tide", "config.json", "{}");
    server_.write("acme/tide", "tokenizer.json", R"({"version": "1.0"})");
    server_.write("acme/tide", "sub dir/notes.json", "[]");
    server_.write("acme/tide", "model.safetensors", noise(300000, 1));
    settings_.cache = dir_ / "hub";
    settings_.endpoint = server_.endpoint();
  }

  // Runs a line of Python with snapshot_download and hf_hub_download at hand.
  bool python(const std::string& line) {
    const std::string script = dir_.write("script.py", "import huggingface_hub\nfrom huggingface_hub import *\n" + line + "\n");
    std::string command = "env HF_HUB_DISABLE_PROGRESS_BARS=1 HF_HUB_DISABLE_XET=1 HF_HUB_DISABLE_UPDATE_CHECK=1 HF_ENDPOINT=" + settings_.endpoint;
    const std::string err = dir_ / "stderr";
    for (const auto& [name, value] : {std::pair{" HF_HOME=", dir_.path()}, {" HF_HUB_CACHE=", settings_.cache}, {" ", python_}, {" ", script}, {" 2> ", err}})
      command += name + shell_word(value);
    return std::system(command.c_str()) == 0;
  }
  std::string stderr_text() { return read_file(dir_ / "stderr"); }

  std::string python_;
  HubServer server_;
  test::TempDir dir_;
  Settings settings_;
};

TEST_F(OfficialClient, UsesWhatWeDownloaded) {
  const std::string path = fetch(require_hub_id("acme/tide"), {}, settings_);
  server_.set();
  ASSERT_TRUE(python("for f in ('config.json', 'tokenizer.json', 'model.safetensors'):\n"
                     "  assert hf_hub_download('acme/tide', f).startswith(" + shell_word(path) + ")\n"
                     "assert snapshot_download('acme/tide', allow_patterns=['*.safetensors', 'config.json']) == " + shell_word(path) + "\n"
                     "assert try_to_load_from_cache('acme/tide', 'adapter_config.json') is huggingface_hub._CACHED_NO_EXIST\n"
                     "assert snapshot_download('acme/tide', local_files_only=True, allow_patterns=['config.json']) == " + shell_word(path) + "\n"
                     "r = list(scan_cache_dir().repos)\n"
                     "assert len(r) == 1 and r[0].repo_id == 'acme/tide' and not scan_cache_dir().warnings\n"
                     "assert sorted(r[0].refs) == ['main'], r[0].refs")) << stderr_text();
  EXPECT_EQ(server_.bytes_sent(), 0) << server_.requests();
}

TEST_F(OfficialClient, LeavesWhatWeUse) {
  ASSERT_TRUE(python("snapshot_download('acme/tide')")) << stderr_text();
  EXPECT_GT(server_.bytes_sent(), 300000);
  server_.set();
  const std::string path = fetch(require_hub_id("acme/tide"), {}, settings_);
  EXPECT_EQ(read_file(path + "/model.safetensors"), noise(300000, 1));
  EXPECT_TRUE(server_.requests().empty()) << server_.requests();
  const std::string again = fetch(require_hub_id("acme/tide"), {.update = true}, settings_);
  EXPECT_EQ(again, path);
  EXPECT_EQ(server_.bytes_sent(), 0);
}

TEST_F(OfficialClient, LeavesPartsThatWeComplete) {
  ASSERT_TRUE(python("hf_hub_download('acme/tide', 'config.json'); hf_hub_download('acme/tide', 'model.safetensors')")) << stderr_text();
  server_.set();
  fetch(require_hub_id("acme/tide"), {.files = HubFiles::kText}, settings_);
  EXPECT_EQ(server_.bytes_sent(), 18) << "tokenizer.json alone";
}

TEST_F(OfficialClient, HoldsTheLockThatWeTake) {
  server_.set(HubServer::Json::parse(R"([{"match": "/cdn/", "stall": [100000, 1]}])"));
  bool fetched = false;
  std::atomic<bool> ended{false};
  std::thread client([&] { fetched = python("hf_hub_download('acme/tide', 'model.safetensors')"), ended = true; });
  const std::string lock = RepoCache(settings_.cache, folder_name("acme/tide")).lock_path(test::sha256(noise(300000, 1)));
  bool held = false;
  while (!held && !ended) held = FileLock::is_held(lock);
  const std::string path = fetch(require_hub_id("acme/tide"), {}, settings_);
  client.join();
  EXPECT_TRUE(held);
  EXPECT_TRUE(fetched) << stderr_text();
  EXPECT_EQ(read_file(path + "/model.safetensors"), noise(300000, 1));
  EXPECT_EQ(server_.count("GET", "/cdn/"), 1) << "by the official client alone";
}

}  // namespace
}  // namespace transom::hub
