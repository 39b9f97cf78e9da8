// fetch_from_hub() against a hub on this machine (server.py): what is downloaded, how it lies in the cache, and every fault that a
// network or a server has.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/file.h"
#include "hub/fetch.h"
#include "hub/hub_server.h"
#include "support/sha256.h"
#include "transom/hub.h"

namespace transom::hub {
namespace {

namespace fs = std::filesystem;
using test::HubServer;
using test::noise;
using test::TempDir;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using Json = nlohmann::json;

constexpr const char* kRepo = "acme/tide";
constexpr int64_t kPiece = 1 << 16;

class Fetch : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    ::setenv("no_proxy", "127.0.0.1,localhost", 1);
    server_ = new HubServer();
    server_->write(kRepo, "config.json", R"({"architectures": ["None"]})");
    server_->write(kRepo, "tokenizer.json", "{}");
    server_->write(kRepo, "README.md", "# Tide");
    server_->write(kRepo, "empty.json", "");
    server_->write(kRepo, "pytorch_model.bin", noise(1000, 1));
    server_->write(kRepo, "onnx/model.onnx", noise(1000, 2));
    server_->write(kRepo, "1_Pooling/config.json", R"({"pooling_mode_mean_tokens": true})");
    server_->write(kRepo, "model.safetensors", weights());
    for (const char* name : {"tide.Q4_K_M.gguf", "tide.Q8_0.gguf", "big.IQ2_XS-00001-of-00002.gguf", "big.IQ2_XS-00002-of-00002.gguf", "mmproj-f16.gguf"})
      server_->write("acme/tide-GGUF", name, noise(3000, static_cast<uint32_t>(std::string(name).size())));
  }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }
  void SetUp() override {
    server_->set();
    settings_.cache = dir_ / "hub";
    settings_.endpoint = server_->endpoint();
    settings_.token_file = dir_ / "token";
    settings_.backoff = 0.01;
  }

  static std::string weights() { return noise(20 * kPiece + 77, 3); }
  std::string get(const std::string& id = kRepo, const HubOptions& options = {}) { return fetch(require_hub_id(id), options, settings_, limits_); }
  std::string error_of(const std::string& id, Code code, const HubOptions& options = {}) {
    try {
      get(id, options);
    } catch (const Error& e) {
      EXPECT_EQ(code_name(e.code()), code_name(code)) << e.what();
      return e.what();
    }
    ADD_FAILURE() << "no error";
    return "";
  }
  std::string repo() const { return settings_.cache + "/models--acme--tide"; }
  std::string blob() const { return repo() + "/blobs/" + test::sha256(weights()); }
  int64_t incomplete() const { return file_exists(blob() + ".incomplete") ? static_cast<int64_t>(file_size(blob() + ".incomplete")) : -1; }
  void expect_whole(const std::string& path) {
    EXPECT_EQ(read_file(path + "/model.safetensors"), weights());
    EXPECT_EQ(incomplete(), -1);
  }

  static HubServer* server_;
  TempDir dir_;
  Settings settings_;
  TransferLimits limits_{.connections = 4, .piece = kPiece, .window = 6 * kPiece};
};
HubServer* Fetch::server_ = nullptr;

std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (!entry.is_directory()) names.push_back(entry.path().lexically_relative(folder).string());
  std::sort(names.begin(), names.end());
  return names;
}

TEST_F(Fetch, TakesWhatIsNeededInParallelRangesAndLaysItAsThePythonClientDoes) {
  int64_t last = -1, total = 0;
  const std::string path = get(kRepo, {.progress = [&](int64_t done, int64_t all) {
                                EXPECT_GE(done, last);
                                last = done;
                                total = all;
                              }});
  expect_whole(path);
  EXPECT_EQ(last, total);
  EXPECT_THAT(files_in(path), ElementsAre("1_Pooling/config.json", "config.json", "empty.json", "model.safetensors", "tokenizer.json"));
  const std::string commit = fs::path(path).filename();
  EXPECT_EQ(path, repo() + "/snapshots/" + commit);
  EXPECT_EQ(read_file(repo() + "/refs/main"), commit);
  EXPECT_EQ(fs::read_symlink(path + "/model.safetensors"), "../../blobs/" + test::sha256(weights()));
  // No regular expression: libonig has functions of regcomp's name, and a sanitizer build mixes them with the C library's.
  const fs::path blob = fs::read_symlink(path + "/1_Pooling/config.json");
  EXPECT_EQ(blob.parent_path(), "../../../blobs");
  EXPECT_EQ(blob.filename().string().find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_TRUE(file_exists(repo() + "/.no_exist/" + commit + "/adapter_config.json"));
  EXPECT_FALSE(file_exists(repo() + "/.no_exist/" + commit + "/config.json"));
  EXPECT_TRUE(file_exists(settings_.cache + "/.locks/models--acme--tide/" + test::sha256(weights()) + ".lock"));
  EXPECT_EQ(server_->count("GET", "/cdn/"), 21);

  server_->set();  // and from now on nobody is asked
  EXPECT_EQ(get(), path);
  EXPECT_EQ(get("acme/tide@" + commit), path);
  EXPECT_TRUE(server_->requests().empty());
}

TEST_F(Fetch, AListOfThePythonClientSaysWhatIsMissing) {
  const std::string path = get();
  const std::string commit = fs::path(path).filename();
  const auto list = [&](const std::string& text) {
    fs::create_directories(repo() + "/trees");
    std::ofstream(repo() + "/trees/" + commit + ".json") << text;
    server_->set();
    EXPECT_EQ(get(), path);
    return server_->requests().size();
  };
  EXPECT_EQ(list(R"({"format_version": 1, "files": {"config.json": {}, "model.safetensors": {}}})"), 0u);
  for (const char* broken : {"", "[]", "{}", R"({"format_version": "1", "files": 3})", R"({"format_version": 1, "files": 3})"})
    EXPECT_EQ(list(broken), 0u) << broken;
  EXPECT_GT(list(R"({"format_version": 1, "files": {"config.json": {}, "model.safetensors": {}, "tokenizer_config.json": {}}})"), 0u);
}

TEST_F(Fetch, TextAloneLeavesWeightsOut) {
  const std::string path = get(kRepo, {.files = HubFiles::kText});
  EXPECT_THAT(files_in(path), ElementsAre("1_Pooling/config.json", "config.json", "empty.json", "tokenizer.json"));
  expect_whole(get());  // what was there is no whole model
}

TEST_F(Fetch, ACutConnectionGoesOnWhereItWas) {
  server_->set(Json::parse(R"([{"match": "model.safetensors", "port": "cdn", "cut": 40000, "times": 6}])"));
  expect_whole(get());
  EXPECT_LT(server_->bytes_sent(), static_cast<int64_t>(weights().size()) + 70000) << "no byte of a cut range is sent twice";
}

TEST_F(Fetch, AnUnfinishedFileIsTakenUp) {
  const std::string half = weights().substr(0, 10 * kPiece + 5);
  fs::create_directories(repo() + "/blobs");
  std::ofstream(blob() + ".incomplete") << half;
  expect_whole(get());
  EXPECT_LT(server_->bytes_sent(), static_cast<int64_t>(weights().size() - half.size()) + 2000);

  fs::remove_all(settings_.cache);  // all of it was there, unchecked
  fs::create_directories(repo() + "/blobs");
  std::ofstream(blob() + ".incomplete") << weights();
  server_->set();
  expect_whole(get());
  EXPECT_EQ(server_->count("GET", "/cdn/"), 0);

  fs::remove_all(settings_.cache);  // longer than the file: not its beginning
  fs::create_directories(repo() + "/blobs");
  std::ofstream(blob() + ".incomplete") << weights() << "more";
  expect_whole(get());

  fs::remove_all(settings_.cache);  // of another file
  fs::create_directories(repo() + "/blobs");
  std::ofstream(blob() + ".incomplete") << noise(5 * kPiece, 9);
  EXPECT_THAT(error_of(kRepo, Code::kCorrupt), HasSubstr("run this again"));
  EXPECT_EQ(incomplete(), -1);
  expect_whole(get());
}

TEST_F(Fetch, AWrongHashIsAnErrorAndTheFileGoes) {
  for (const char* name : {"model.safetensors", "tokenizer.json"}) {
    fs::remove_all(settings_.cache);
    server_->set(Json::array({{{"match", name}, {"method", "GET"}, {"corrupt", true}, {"times", 1}}}));
    EXPECT_THAT(error_of(kRepo, Code::kCorrupt), AllOf(HasSubstr(name), HasSubstr("expected the hash")));
    if (name == std::string("model.safetensors")) EXPECT_EQ(incomplete(), -1);
    for (const auto& entry : fs::directory_iterator(repo() + "/snapshots"))
      EXPECT_FALSE(fs::exists(entry.path() / name)) << name;
  }
  server_->set();
  expect_whole(get());
}

TEST_F(Fetch, PassingFaultsAreTriedAgain) {
  server_->set(Json::parse(R"([{"match": "/api/", "status": 429, "headers": {"Retry-After": "0"}, "times": 2},
                               {"match": "/api/", "status": 500}, {"match": "config.json", "method": "HEAD", "status": 503},
                               {"match": "tokenizer.json", "method": "GET", "status": 502, "times": 2},
                               {"match": "/cdn/", "status": 403}, {"match": "/cdn/", "status": 504}])"));
  expect_whole(get());
  server_->set(Json::parse(R"([{"match": "/api/", "status": 429, "headers": {"Retry-After": "100000"}}])"));
  EXPECT_THAT(error_of("acme/tide@other", Code::kIo), HasSubstr("429"));
  EXPECT_EQ(server_->count("GET", "/api/"), 1) << "nobody waits that long";
  server_->set(Json::parse(R"([{"match": "/api/", "status": 500, "times": 100}])"));
  EXPECT_THAT(error_of("acme/tide@other", Code::kIo), HasSubstr("500"));
  EXPECT_EQ(server_->count("GET", "/api/"), 5);
}

TEST_F(Fetch, AnAddressThatHasExpiredIsAskedForAnew) {
  const std::string gone = "http://localhost:" + std::to_string(server_->hub_port()) + "/gone";
  server_->set(Json::array({{{"match", "model.safetensors"}, {"method", "HEAD"}, {"add", {{"Location", gone}}}}}));
  expect_whole(get());
  EXPECT_GT(server_->count("GET", "/gone"), 0);
}

TEST_F(Fetch, AServerThatStopsSendingIsLeft) {
  settings_.download_timeout = 1;
  limits_.connections = 1;
  server_->set(Json::parse(R"([{"match": "/cdn/", "stall": [30000, 3]}])"));
  expect_whole(get());
  EXPECT_GE(server_->count("GET", "/cdn/"), 22);
}

TEST_F(Fetch, AServerWithoutRangesSendsTheWholeFileOnce) {
  server_->set(Json::parse(R"([{"match": "/cdn/", "whole": true, "times": 100}])"));
  expect_whole(get());
  server_->set(Json::parse(R"([{"match": "/cdn/", "whole": true, "cut": 500000}, {"match": "/cdn/", "whole": true, "times": 100}])"));
  fs::remove_all(settings_.cache);
  limits_.connections = 1;
  expect_whole(get());
}

TEST_F(Fetch, TheTokenGoesToTheHubAloneAndAGatedRepositorySaysWhatIsNeeded) {
  server_->write("acme/gated", "config.json", "{}");
  server_->write("acme/gated", "model.safetensors", noise(5000, 4));
  server_->write("acme/gated", ".gated", "hf_right");
  const std::string none = error_of("acme/gated", Code::kNotFound);
  for (const std::string& word : {std::string("gated"), std::string("--token"), std::string("--hf-token"), std::string("HF_TOKEN"), settings_.token_file,
                                  settings_.endpoint + "/acme/gated", std::string("no token was sent")})
    EXPECT_THAT(none, HasSubstr(word));
  settings_.token = "hf_wrong", settings_.token_source = "HF_TOKEN";
  const std::string wrong = error_of("acme/gated", Code::kNotFound);
  EXPECT_THAT(wrong, AllOf(HasSubstr("came from HF_TOKEN"), testing::Not(HasSubstr("hf_wrong"))));
  settings_.token = "hf_right";
  server_->set();
  EXPECT_EQ(read_file(get("acme/gated") + "/model.safetensors"), noise(5000, 4));
  for (const Json& request : server_->requests()) EXPECT_EQ(request.at("token"), request.at("port") == "hub" ? "hf_right" : "") << request;
}

TEST_F(Fetch, WhatTheHubLacksIsSaid) {
  EXPECT_THAT(error_of("acme/none", Code::kNotFound), AllOf(HasSubstr("acme/none"), HasSubstr("no such repository"), HasSubstr("--token")));
  EXPECT_THAT(error_of("acme/tide@v9", Code::kNotFound), HasSubstr("no revision 'v9'"));
  EXPECT_THAT(error_of("acme/tide:Q4_K_M", Code::kNotFound), HasSubstr("no .gguf file"));
  settings_.endpoint = "http://127.0.0.1:1";
  EXPECT_THAT(error_of("acme/other", Code::kIo), HasSubstr("cannot reach http://127.0.0.1:1"));
}

TEST_F(Fetch, OfflineAsksNobody) {
  settings_.offline = true;
  EXPECT_THAT(error_of(kRepo, Code::kNotFound), AllOf(HasSubstr("HF_HUB_OFFLINE"), HasSubstr(settings_.cache)));
  EXPECT_TRUE(server_->requests().empty());
  settings_.offline = false;
  const std::string path = get();
  settings_.offline = true;
  EXPECT_EQ(get(kRepo, {.update = true}), path);
  fs::remove(path + "/model.safetensors");
  EXPECT_THAT(error_of(kRepo, Code::kNotFound), HasSubstr("weights"));
}

TEST_F(Fetch, AQuantizationChoosesItsFileWithAllParts) {
  EXPECT_THAT(get("acme/tide-GGUF"), testing::EndsWith("/tide.Q4_K_M.gguf"));
  const std::string parts = get("acme/tide-GGUF:iq2_xs");
  EXPECT_THAT(parts, testing::EndsWith("/big.IQ2_XS-00001-of-00002.gguf"));
  EXPECT_THAT(files_in(fs::path(parts).parent_path()),
              ElementsAre("big.IQ2_XS-00001-of-00002.gguf", "big.IQ2_XS-00002-of-00002.gguf", "tide.Q4_K_M.gguf"));
  EXPECT_THAT(error_of("acme/tide-GGUF:Q4_K", Code::kNotFound), HasSubstr("'tide.Q8_0.gguf'"));
  EXPECT_THAT(get("acme/tide-GGUF:tide.Q8_0.gguf"), testing::EndsWith("/tide.Q8_0.gguf"));
}

TEST_F(Fetch, AnInterruptedDownloadCanBeTakenUp) {
  bool enough = false;
  server_->set(Json::parse(R"([{"match": "/cdn/", "stall": [60000, 1], "times": 4}])"));
  const HubOptions options{.progress = [&](int64_t done, int64_t) { enough = done > 3 * kPiece; }, .cancelled = [&] { return enough; }};
  EXPECT_THAT(error_of(kRepo, Code::kCancelled, options), HasSubstr("goes on"));
  EXPECT_GT(incomplete(), 0);
  EXPECT_EQ(read_file(blob() + ".incomplete"), weights().substr(0, static_cast<size_t>(incomplete()))) << "always a beginning of the file";
  EXPECT_FALSE(file_exists(repo() + "/refs/main"));
  const int64_t there = incomplete();
  server_->set();
  expect_whole(get());
  EXPECT_LE(server_->bytes_sent(), static_cast<int64_t>(weights().size()) - there + 2000);
}

TEST_F(Fetch, TwoAtOnceDownloadOnce) {
  std::string a, b;
  std::thread other([&] { a = get(); });
  b = get();
  other.join();
  EXPECT_EQ(a, b);
  expect_whole(a);
  EXPECT_EQ(server_->count("GET", "/cdn/"), 21);
}

TEST_F(Fetch, ARevisionStaysUntilAnUpdateIsAskedForAndThenOnlyChangesMove) {
  server_->write("acme/moving", "config.json", "{}");
  server_->write("acme/moving", "tokenizer.json", "{}");
  server_->write("acme/moving", "model.safetensors", noise(50000, 5));
  const std::string before = get("acme/moving");
  EXPECT_EQ(server_->bytes_sent(), 50002) << "files that are equal are one blob";
  EXPECT_EQ(read_file(before + "/tokenizer.json"), "{}");
  server_->write("acme/moving", "config.json", R"({"new": 1})");
  server_->set();
  EXPECT_EQ(get("acme/moving"), before);
  EXPECT_TRUE(server_->requests().empty());
  const std::string after = get("acme/moving", {.update = true});
  EXPECT_NE(after, before);
  EXPECT_EQ(read_file(after + "/config.json"), R"({"new": 1})");
  EXPECT_EQ(read_file(after + "/model.safetensors"), noise(50000, 5));
  EXPECT_EQ(server_->bytes_sent(), 10);
  EXPECT_EQ(get("acme/moving"), after);
}

TEST_F(Fetch, AnswersThatCannotBeAreRefused) {
  const auto refused = [&](const Json& fault, Code code) {
    Json all = fault;
    all["times"] = 100;
    server_->set(Json::array({all}));
    return error_of(kRepo, code);
  };
  const auto head = [&](const char* name, const std::string& value) {
    return Json{{"match", "model.safetensors"}, {"method", "HEAD"}, {"add", {{name, value}}}};
  };
  EXPECT_THAT(refused(head("X-Linked-Size", "562949953421312"), Code::kResource), HasSubstr("free disk space"));
  EXPECT_THAT(refused(head("X-Linked-Size", "-1"), Code::kCorrupt), HasSubstr("size"));
  EXPECT_THAT(refused(head("X-Linked-Size", "99999999999999999999"), Code::kCorrupt), HasSubstr("size"));
  EXPECT_THAT(refused(head("X-Linked-ETag", "\"../../evil\""), Code::kCorrupt), HasSubstr("hash"));
  EXPECT_THAT(refused(head("X-Repo-Commit", std::string(40, 'a')), Code::kCorrupt), HasSubstr("X-Repo-Commit"));
  EXPECT_THAT(refused(head("X-Linked-Size", "100"), Code::kCorrupt), HasSubstr("got more"));
  EXPECT_THAT(refused({{"match", "/api/"}, {"body", "<html>"}}, Code::kCorrupt), HasSubstr("JSON"));
  const std::string sha(40, 'b');
  for (const std::string name : {"../x.json", "/etc/passwd", "a/../../b.json", "a//b.json", "a\\b.json"})
    EXPECT_THAT(refused({{"match", "/api/"}, {"body", Json{{"sha", sha}, {"siblings", {{{"rfilename", name}}}}}.dump()}}, Code::kCorrupt),
                HasSubstr("below the repository"));
  EXPECT_THAT(refused({{"match", "/api/"}, {"status", 302}, {"headers", {{"Location", "/api/again"}}}}, Code::kCorrupt), HasSubstr("redirects"));
  server_->set();
  expect_whole(get());
}

}  // namespace
}  // namespace transom::hub
