// GGUF tensors: types, sizes, ranges, overlap, and split files.
#include "checkpoint/gguf.h"

#include <gtest/gtest.h>

#include "base/gguf_bytes.h"
#include "checkpoint/expect_error.h"
#include "checkpoint/gguf_config.h"
#include "support/temp_dir.h"

namespace transom {
namespace {

using test::expect_error;
using test::GgufBytes;
using test::parse_gguf;
using test::TempDir;

std::vector<TensorEntry> entries(const std::string& file) { return gguf_entries(parse_gguf(file), file.size()); }

TEST(Gguf, ReadsTensorsInRowMajorOrder) {
  const std::string file =
      GgufBytes().tensor("w", {64, 3}, 12 - 10 + 0, 0).tensor("n", {5}, 0, 128).tensor("s", {}, 30, 160).bytes(3, 192);
  const auto e = entries(file);  // type 2 is Q4_0
  ASSERT_EQ(e.size(), 3u);
  EXPECT_EQ(e[0].dtype, DType::kQ4_0);
  EXPECT_EQ(e[0].shape, (std::vector<int64_t>{3, 64}));
  EXPECT_EQ(e[0].bytes, 3u * 2 * 18);
  EXPECT_EQ(e[1].offset, file.size() - 192 + 128);
  EXPECT_TRUE(e[2].shape.empty());
  EXPECT_EQ(e[2].bytes, 2u);
}

TEST(Gguf, KnowsEveryType) {
  int types = 0;
  for (uint32_t t = 0; t < 64; ++t) {
    const auto dtype = gguf_dtype(t);
    if (!dtype) {
      expect_error([&] { entries(GgufBytes().tensor("w", {256}, t, 0).bytes(3, 4096)); }, Code::kUnsupported, "ggml type");
      continue;
    }
    ++types;
    EXPECT_EQ(gguf_type_number(*dtype), t);
    EXPECT_EQ(entries(GgufBytes().tensor("w", {256}, t, 0).bytes(3, 4096))[0].bytes, static_cast<uint64_t>(row_bytes(*dtype, 256)));
  }
  for (int t = static_cast<int>(DType::kQ4_0); t < static_cast<int>(DType::kCount); ++t)
    if (static_cast<DType>(t) != DType::kCoded) EXPECT_TRUE(gguf_type_number(static_cast<DType>(t))) << name(static_cast<DType>(t));
  EXPECT_EQ(types, 32);
  EXPECT_FALSE(gguf_type_number(DType::kU8));
}

TEST(Gguf, RefusesWrongTensors) {
  const auto refused = [](const GgufBytes& b, size_t data, const std::string& text) {
    expect_error([&] { entries(b.bytes(3, data)); }, Code::kCorrupt, text);
  };
  refused(GgufBytes().tensor("w", {33}, 2, 0), 4096, "whole 32-element blocks for Q4_0, got 33 elements (tensor 'w')");
  refused(GgufBytes().tensor("w", {128, 2}, 12, 0), 4096, "whole 256-element blocks");
  refused(GgufBytes().tensor("w", {8}, 0, 64), 64, "32 bytes at data offset 64, got 64 bytes of data: the file is truncated");
  refused(GgufBytes().tensor("w", {8}, 0, 1ull << 63), 64, "truncated");
  refused(GgufBytes().tensor("w", {1ull << 40, 1ull << 8}, 0, 0), 64, "truncated");
  refused(GgufBytes().tensor("a", {9}, 0, 0).tensor("b", {8}, 0, 32), 64, "'a' and 'b' overlapping");
  refused(GgufBytes().tensor("a", {8}, 0, 0).tensor("b", {8}, 0, 0), 64, "overlapping");
}

TEST(Gguf, EveryTruncationIsAnError) {
  const std::string file = GgufBytes().str("k", "v").tensor("a", {8}, 0, 0).tensor("b", {32}, 2, 32).bytes(2, 50);
  entries(file);
  for (size_t n = 0; n < file.size(); ++n) EXPECT_THROW(entries(file.substr(0, n)), Error) << n;
}

std::string part(int no, int count, int total, const std::string& tensor) {
  GgufBytes b;
  b.scalar<uint16_t>("split.no", GgufType::kU16, static_cast<uint16_t>(no));
  b.scalar<uint16_t>("split.count", GgufType::kU16, static_cast<uint16_t>(count));
  b.scalar<int32_t>("split.tensors.count", GgufType::kI32, total);
  if (no == 0) b.str("general.architecture", "llama");
  return b.tensor(tensor, {8}, 0, 0).bytes(3, 32);
}

// A value that a family computes with before anything checks its type.
TEST(Gguf, AKeyOfAWrongTypeIsOneClearError) {
  TempDir dir;
  const std::string path = dir.write("m.gguf", GgufBytes()
                                                   .str("general.architecture", "tiny")
                                                   .scalar<uint32_t>("tiny.embedding_length", GgufType::kU32, 4)
                                                   .str("tiny.expert_count", "several")
                                                   .tensor("token_embd.weight", {4, 2}, 0, 0)
                                                   .bytes(3, 32));
  const auto source = open_checkpoint(path);
  const GgufNames names{.rules = {}, .keys = {{"expert_count", "num_experts"}}, .present = {}, .rows = {},
                        .adjust = [](Json& config) { config["half"] = config.value("num_experts", 0) / 2; }};
  expect_error([&] { gguf_config(*source, names); }, Code::kCorrupt, "m.gguf: expected numbers for the keys of tiny, got another type");
}

TEST(Gguf, OpensAllPartsOfASplitFile) {
  const TempDir dir;
  const std::string first = dir.write("m-00001-of-00003.gguf", part(0, 3, 3, "a"));
  dir.write("m-00002-of-00003.gguf", part(1, 3, 3, "b"));
  expect_error([&] { open_checkpoint(first); }, Code::kNotFound, "m-00003-of-00003.gguf");
  const std::string last = dir.write("m-00003-of-00003.gguf", part(2, 3, 3, "c"));
  for (const std::string& path : {first, last, dir.path()}) {
    const auto source = open_checkpoint(path);
    ASSERT_EQ(source->entries().size(), 3u);
    EXPECT_EQ(source->entries()[2].name, "c");
    EXPECT_EQ(source->gguf()->str("general.architecture"), "llama");
    EXPECT_EQ(TensorSource::data(source->at("b")).size(), 32u);
  }
  dir.write("m-00002-of-00003.gguf", part(2, 3, 3, "b"));
  expect_error([&] { open_checkpoint(first); }, Code::kCorrupt, "split.no 1 of split.count 3, got 2 of 3");
  dir.write("m-00002-of-00003.gguf", part(1, 3, 3, "a"));
  expect_error([&] { open_checkpoint(first); }, Code::kCorrupt, "each tensor once, got 'a'");
  dir.write("m-00001-of-00003.gguf", part(0, 3, 4, "a"));
  dir.write("m-00002-of-00003.gguf", part(1, 3, 4, "b"));
  expect_error([&] { open_checkpoint(first); }, Code::kCorrupt, "4 tensors in all parts");
}

TEST(Gguf, APartWithAnotherNameIsAnError) {
  const TempDir dir;
  expect_error([&] { open_checkpoint(dir.write("m.gguf", part(0, 2, 2, "a"))); }, Code::kCorrupt, "model-00001-of-00002.gguf");
  expect_error([&] { open_checkpoint(dir.write("m-1-of-9.gguf", part(0, 2, 2, "a"))); }, Code::kCorrupt, "split.count is 2");
}

}  // namespace
}  // namespace transom
