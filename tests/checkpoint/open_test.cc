// open_checkpoint: which files of a directory are read, indexes, shards with any padding, and hostile names. R42
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "base/gguf_bytes.h"
#include "checkpoint/expect_error.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/shards.h"
#include "checkpoint/source.h"
#include "support/fixture.h"
#include "support/temp_dir.h"

namespace transom {
namespace {

using test::expect_error;
using test::fixture_path;
using test::TempDir;

// A shard that holds one byte tensors of these names, each with the value `v`.
void shard(const std::string& path, std::initializer_list<const char*> names, uint8_t v = 1) {
  const std::byte byte{v};
  std::vector<TensorToWrite> tensors;
  for (const char* n : names) tensors.push_back({n, DType::kU8, {1}, {&byte, 1}});
  write_safetensors(path, tensors);
}

std::vector<std::string> names(const TensorSource& s) {
  std::vector<std::string> out;
  for (const TensorEntry& e : s.entries()) out.push_back(e.name);
  std::sort(out.begin(), out.end());
  return out;
}

using Names = std::vector<std::string>;

TEST(Open, FixturesInEveryLayoutAreEqual) {
  const auto want = open_checkpoint(fixture_path("llama-mha"));
  ASSERT_GT(want->entries().size(), 10u);
  for (const char* layout : {"llama-sharded", "llama-unindexed", "llama-bin", "llama-bin-sharded"}) {
    SCOPED_TRACE(layout);
    const auto got = open_checkpoint(fixture_path(layout));
    ASSERT_EQ(names(*got), names(*want));
    for (const TensorEntry& e : want->entries()) {
      const TensorEntry& other = got->at(e.name);
      EXPECT_EQ(other.shape, e.shape);
      EXPECT_EQ(other.dtype, e.dtype);
      EXPECT_TRUE(std::ranges::equal(TensorSource::data(other), TensorSource::data(e))) << e.name;
    }
  }
}

TEST(Open, IndexWithAMissingShardNamesIt) {
  const TempDir dir;
  shard(dir / "model-00001-of-00002.safetensors", {"a"});
  dir.write("model.safetensors.index.json",
            R"({"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}})");
  expect_error([&] { open_checkpoint(dir.path()); }, Code::kNotFound, "the shard 'model-00002-of-00002.safetensors', got no such file");
  shard(dir / "model-00002-of-00002.safetensors", {"c"});
  expect_error([&] { open_checkpoint(dir.path()); }, Code::kCorrupt, "the tensor 'b' in");
  shard(dir / "model-00002-of-00002.safetensors", {"b", "c"});
  EXPECT_EQ(names(*open_checkpoint(dir.path())), (Names{"a", "b", "c"}));
}

TEST(Open, IndexDecidesBetweenTwoCopies) {
  const TempDir dir;
  shard(dir / "x.safetensors", {"a", "b"}, 1);
  shard(dir / "y.safetensors", {"a", "c"}, 2);
  dir.write("model.safetensors.index.json", R"({"weight_map":{"b":"x.safetensors","a":"y.safetensors"}})");
  const auto source = open_checkpoint(dir.path());
  EXPECT_EQ(names(*source), (Names{"a", "b", "c"}));
  EXPECT_EQ(TensorSource::data(source->at("a"))[0], std::byte{2});
}

TEST(Open, PathTricksInAnIndexAreRefused) {
  const TempDir dir;
  shard(dir / "secret.safetensors", {"a"});
  std::filesystem::create_directories(dir / "m/sub");
  shard(dir / "m/sub/ok.safetensors", {"a"});
  const auto index = [&](const std::string& file) {
    dir.write("m/model.safetensors.index.json", Json{{"weight_map", {{"a", file}}}}.dump());
    return open_checkpoint(dir / "m");
  };
  for (const std::string& file : {std::string("../secret.safetensors"), dir / "secret.safetensors", std::string("sub/../../secret.safetensors"),
                                  std::string("./sub/ok.safetensors"), std::string(""), std::string("sub//ok.safetensors"),
                                  std::string("..\\secret.safetensors"), std::string("a\n.safetensors"), std::string("sub/..")})
    expect_error([&] { index(file); }, Code::kCorrupt, "below the index's directory");
  EXPECT_EQ(index("sub/ok.safetensors")->entries().size(), 1u);
  // Links are how the Hugging Face cache keeps its files.
  std::filesystem::create_symlink(dir / "secret.safetensors", dir / "m/link.safetensors");
  EXPECT_EQ(index("link.safetensors")->entries().size(), 1u);
  std::filesystem::create_symlink(dir / "gone", dir / "m/broken.safetensors");
  expect_error([&] { index("broken.safetensors"); }, Code::kNotFound, "'broken.safetensors'");
}

TEST(Open, MalformedIndexes) {
  const TempDir dir;
  for (const char* text : {"", "[]", "{}", "7", R"({"weight_map":[]})", R"({"weight_map":{}})", R"({"weight_map":{"a":1}})"}) {
    dir.write("model.safetensors.index.json", text);
    expect_error([&] { open_checkpoint(dir.path()); }, Code::kCorrupt, "index.json: expected");
  }
}

TEST(Open, ShardsWithAnyZeroPadding) {
  const TempDir dir;
  shard(dir / "model-1-of-02.safetensors", {"a"});
  shard(dir / "model-0002-of-2.safetensors", {"b"});
  EXPECT_EQ(names(*open_checkpoint(dir.path())), (Names{"a", "b"}));
  // An index that pads otherwise than the files.
  dir.write("model.safetensors.index.json",
            R"({"weight_map":{"a":"model-00001-of-00002.safetensors","b":"model-00002-of-00002.safetensors"}})");
  EXPECT_EQ(names(*open_checkpoint(dir.path())), (Names{"a", "b"}));
}

TEST(Open, ShardsWithoutAnIndex) {
  const TempDir dir;
  shard(dir / "model-00001-of-00003.safetensors", {"a"});
  shard(dir / "model-00003-of-00003.safetensors", {"c"});
  shard(dir / "consolidated.safetensors", {"a", "b", "c"});
  shard(dir / "adapter_model.safetensors", {"lora"});
  expect_error([&] { open_checkpoint(dir.path()); }, Code::kNotFound, "3 parts, got none named 'model-00002-of-00003.safetensors'");
  shard(dir / "model-00002-of-00003.safetensors", {"b"});
  EXPECT_EQ(names(*open_checkpoint(dir.path())), (Names{"a", "b", "c"}));
  shard(dir / "other-1-of-1.safetensors", {"x"});
  expect_error([&] { open_checkpoint(dir.path()); }, Code::kInvalidArgument, "one set of shards or an index, got 2 sets");
}

TEST(Open, PlainFilesWithoutAnIndexAreOneModel) {
  const TempDir dir;
  shard(dir / "first.safetensors", {"a"});
  shard(dir / "second.safetensors", {"b"});
  EXPECT_EQ(names(*open_checkpoint(dir.path())), (Names{"a", "b"}));
  shard(dir / "second.safetensors", {"a"});
  expect_error([&] { open_checkpoint(dir.path()); }, Code::kCorrupt, "each tensor once, got 'a'");
}

TEST(Open, CountsFromZeroAreShardsToo) {
  const TempDir dir;
  shard(dir / "m-0-of-2.safetensors", {"a"});
  shard(dir / "m-1-of-2.safetensors", {"b"});
  EXPECT_EQ(names(*open_checkpoint(dir.path())), (Names{"a", "b"}));
  shard(dir / "m-2-of-2.safetensors", {"c"});
  expect_error([&] { open_checkpoint(dir.path()); }, Code::kCorrupt, "a part number up to 1, got 2");
}

TEST(Open, DirectoriesWithGguf) {
  const TempDir dir;
  const std::string bytes = test::GgufBytes().tensor("w", {8}, 0, 0).bytes(3, 32);
  dir.write("a.gguf", bytes);
  dir.write("mmproj-a.gguf", bytes);
  EXPECT_EQ(open_checkpoint(dir.path())->format(), CheckpointFormat::kGguf);
  dir.write("b.gguf", bytes);
  expect_error([&] { open_checkpoint(dir.path()); }, Code::kInvalidArgument, "one .gguf file, got 2");
  EXPECT_EQ(open_checkpoint(dir / "b.gguf")->entries().size(), 1u);
}

TEST(Open, NothingThere) {
  const TempDir dir;
  expect_error([&] { open_checkpoint(dir.path()); }, Code::kNotFound, "got none");
  expect_error([&] { open_checkpoint(dir / "no.safetensors"); }, Code::kNotFound, "cannot open");
  expect_error([&] { open_checkpoint(dir.write("e.safetensors", "")); }, Code::kCorrupt, "8-byte header size");
  expect_error([&] { open_checkpoint(dir.write("e.gguf", "")); }, Code::kCorrupt, "GGUF");
}

TEST(Open, GitLfsPointers) {
  const TempDir dir;
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 7\n";
  for (const char* file : {"m.gguf", "pytorch_model.bin", "model.safetensors"}) {
    dir.write(file, pointer);
    expect_error([&] { open_checkpoint(dir / file); }, Code::kNotFound, "git lfs pull");
  }
  expect_error([&] { open_checkpoint(dir.path()); }, Code::kNotFound, "git lfs pull");
}

TEST(Shards, Names) {
  const auto s = parse_shard_name("/d/model-1-of-02.safetensors");
  ASSERT_TRUE(s);
  EXPECT_EQ(s->stem, "/d/model");
  EXPECT_EQ(s->number, 1u);
  EXPECT_EQ(s->count, 2u);
  EXPECT_EQ(s->with_number(2), "/d/model-2-of-02.safetensors");
  for (const char* no : {"model.safetensors", "model-of-2.safetensors", "m-1-of-.gguf", "m-1-of-0.gguf", "m--of-2.gguf", "-of-", "m-x-of-2.gguf",
                         "m-1-of-9999999999.gguf", "m-1-of-2"})
    EXPECT_FALSE(parse_shard_name(no)) << no;
}

}  // namespace
}  // namespace transom
