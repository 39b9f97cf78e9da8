// list_hub_cache(), remove_from_hub_cache(), verify_hub_cache() over a cache laid out by hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "hub/cache.h"
#include "support/sha256.h"
#include "support/temp_dir.h"
#include "transom/hub.h"

namespace transom::hub {
namespace {

namespace fs = std::filesystem;

class Cache : public testing::Test {
 protected:
  void SetUp() override {
    ::setenv("HF_HUB_CACHE", dir_.path().c_str(), 1);
    add("models--acme--tide", kOld, "config.json", "{}");
    add("models--acme--tide", kOld, "model.safetensors", std::string(1000, 'a'));
    add("models--acme--tide", kNew, "config.json", "{}");
    add("models--acme--tide", kNew, "sub/model.safetensors", std::string(3000, 'b'));
    dir_.write("models--acme--tide/refs/main", kNew);
    dir_.write("models--acme--tide/refs/refs/pr/1", kOld);
    dir_.write("models--acme--tide/blobs/" + std::string(64, 'e') + ".incomplete", "12345");
    add("datasets--acme--waves", kNew, "a.txt", "words");
    dir_.write("version.txt", "1");
  }
  void TearDown() override { ::unsetenv("HF_HUB_CACHE"); }

  void add(const std::string& folder, const std::string& commit, const std::string& name, const std::string& bytes) {
    dir_.write(folder + "/blobs/" + test::sha256(bytes), bytes);
    RepoCache(dir_.path(), folder).point(commit, name, test::sha256(bytes));
  }

  const std::string kOld = std::string(40, '1'), kNew = std::string(40, '2');
  test::TempDir dir_;
};

TEST_F(Cache, ListsRepositoriesRevisionsAndSizes) {
  const auto repos = list_hub_cache();
  ASSERT_EQ(repos.size(), 2u);
  EXPECT_EQ(repos[0].id, "acme/tide");
  EXPECT_EQ(repos[0].bytes, 2 + 1000 + 3000 + 5);
  EXPECT_EQ(repos[0].incomplete_bytes, 5);
  ASSERT_EQ(repos[0].revisions.size(), 2u);
  EXPECT_EQ(repos[0].revisions[0].bytes, 1002);
  EXPECT_THAT(repos[0].revisions[0].refs, testing::ElementsAre("refs/pr/1"));
  EXPECT_EQ(repos[0].revisions[1].files, 2);
  EXPECT_EQ(repos[1].id, "datasets/acme/waves");
}

TEST_F(Cache, RemovesARevisionButNotWhatAnotherOneHas) {
  EXPECT_EQ(remove_from_hub_cache("acme/tide@refs/pr/1"), 1000);
  EXPECT_EQ(list_hub_cache()[0].revisions.size(), 1u);
  EXPECT_TRUE(file_exists(dir_ / "models--acme--tide/snapshots/" + kNew + "/config.json"));
  EXPECT_FALSE(file_exists(dir_ / "models--acme--tide/refs/refs/pr/1"));
  EXPECT_EQ(remove_from_hub_cache("acme/tide"), 3007);
  EXPECT_EQ(list_hub_cache().size(), 1u);
  EXPECT_EQ(remove_from_hub_cache("datasets/acme/waves"), 5);
}

TEST_F(Cache, RefusesWhatIsNotThereOrInUseOrNoId) {
  for (const char* id : {"acme/none", "acme/tide@none", "", ".", "..", "../x", "acme/../x", "/", "acme/tide@../x", "a/b/c"})
    EXPECT_THROW(remove_from_hub_cache(id), Error) << id;
  const FileLock lock(RepoCache(dir_.path(), "models--acme--tide").lock_path("abc"), [] {});
  EXPECT_THROW(remove_from_hub_cache("acme/tide"), Error);
  EXPECT_TRUE(dir_exists(dir_ / "models--acme--tide"));
}

TEST_F(Cache, VerifyFindsChangedAndLostFiles) {
  EXPECT_TRUE(verify_hub_cache({}).problems.empty());
  EXPECT_EQ(verify_hub_cache({}).files, 4);
  std::ofstream(dir_ / "models--acme--tide/blobs/" + test::sha256(std::string(1000, 'a')), std::ios::in) << "z";
  fs::remove(dir_ / "datasets--acme--waves/blobs/" + test::sha256("words"));
  const CacheReport report = verify_hub_cache({});
  ASSERT_EQ(report.problems.size(), 2u);
  EXPECT_EQ(report.problems[0].id, "datasets/acme/waves");
  EXPECT_THAT(report.problems[0].problem, testing::HasSubstr("not there"));
  EXPECT_EQ(report.problems[1].file, "model.safetensors");
  EXPECT_EQ(verify_hub_cache({"acme/tide"}).problems.size(), 1u);
  EXPECT_THROW(verify_hub_cache({"acme/none"}), Error);
}

}  // namespace
}  // namespace transom::hub
