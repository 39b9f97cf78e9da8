// safetensors: the reader's checks one by one, truncation at every byte, and the writer (save, load, equal).
#include "checkpoint/safetensors.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "checkpoint/expect_error.h"
#include "support/temp_dir.h"
#include "tensor/half.h"

namespace transom {
namespace {

using test::expect_error;
using test::TempDir;

std::string file_of(const std::string& header, size_t data_bytes) {
  std::string out(8, '\0');
  store_le<uint64_t>(out.data(), header.size());
  return out + header + std::string(data_bytes, 'x');
}

SafetensorsHeader parse(const std::string& file) {
  return parse_safetensors(std::as_bytes(std::span(file.data(), file.size())), "t.safetensors");
}

void refused(const std::string& header, size_t data_bytes, const std::string& text) {
  expect_error([&] { parse(file_of(header, data_bytes)); }, Code::kCorrupt, text);
}

TEST(Safetensors, ReadsTensorsAndMetadata) {
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F16","shape":[2,3],"data_offsets":[4,16]},)"
      R"("scalar":{"dtype":"F32","shape":[],"data_offsets":[0,4]},"none":{"dtype":"BF16","shape":[0,7],"data_offsets":[16,16]}}  )";
  const SafetensorsHeader h = parse(file_of(header, 16));
  EXPECT_EQ(h.metadata.at("format"), "pt");
  ASSERT_EQ(h.entries.size(), 3u);
  EXPECT_EQ(h.entries[0].name, "b");
  EXPECT_EQ(h.entries[0].dtype, DType::kF16);
  EXPECT_EQ(h.entries[0].shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(h.entries[0].offset, 8 + header.size() + 4);
  EXPECT_EQ(h.entries[0].bytes, 12u);
  EXPECT_TRUE(h.entries[1].shape.empty());
  EXPECT_EQ(h.entries[2].bytes, 0u);
}

TEST(Safetensors, KnowsEveryDType) {
  const std::pair<const char*, int> types[] = {  // bytes of eight elements
      {"BOOL", 8},        {"F4", 4},           {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"U8", 8},   {"I8", 8},   {"F8_E5M2", 8},
      {"F8_E4M3", 8},     {"F8_E8M0", 8},      {"I16", 16},    {"U16", 16},    {"F16", 16}, {"BF16", 16}, {"F8_E4M3FNUZ", 8},
      {"F8_E5M2FNUZ", 8}, {"I32", 32},         {"U32", 32},    {"F32", 32},    {"C64", 64}, {"F64", 64}, {"I64", 64},
      {"U64", 64}};
  for (const auto& [type, bytes] : types) {
    SCOPED_TRACE(type);
    const auto h = parse(file_of(fmt::format(R"({{"a":{{"dtype":"{}","shape":[4,2],"data_offsets":[0,{}]}}}})", type, bytes), bytes));
    EXPECT_EQ(name(h.entries[0].dtype), type);
  }
  refused(R"({"a":{"dtype":"Q4_0","shape":[32],"data_offsets":[0,18]}})", 18, "a dtype of the format, got 'Q4_0' (tensor 'a')");
  refused(R"({"a":{"dtype":"float32","shape":[1],"data_offsets":[0,4]}})", 4, "got 'float32'");
  refused(R"({"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}})", 2, "whole bytes");
}

TEST(Safetensors, UnknownFieldsAreSkipped) {
  const auto h = parse(file_of(
      R"({"a":{"x":[[1,{"y":null}],-1],"dtype":"U8","z":{"w":[]},"shape":[2],"v":1.5,"data_offsets":[0,2]}})", 2));
  EXPECT_EQ(h.entries.at(0).bytes, 2u);
}

TEST(Safetensors, RefusesWrongHeaders) {
  refused("", 0, "starts with '{'");
  refused("[]", 0, "starts with '{'");
  refused(R"({"a":)", 0, "syntax error at byte");
  refused(R"({} x)", 0, "syntax error");
  refused("{\"\xff\":{}}", 0, "syntax error");
  refused(R"({"a":5})", 0, "an object for each tensor, got a number (tensor 'a')");
  refused(R"({"a":[]})", 0, "an object for each tensor, got an array");
  refused(R"({"__metadata__":{"a":1}})", 0, "__metadata__ of strings, got a number");
  refused(R"({"__metadata__":{"a":{}}})", 0, "__metadata__ of strings, got an object");
  refused(R"({"__metadata__":{"a":"","a":""}})", 0, "twice");
  refused(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}})", 0,
          "each key once, got 'a' twice");
  refused(R"({"a":{"dtype":"U8","dtype":"U8","shape":[0],"data_offsets":[0,0]}})", 0, "each field once, got 'dtype' twice");
  refused(R"({"a":{"dtype":"U8","shape":[0]}})", 0, "not all of them");
  refused(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0]}})", 0, "two data_offsets, got 1");
  refused(R"({"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0,0]}})", 0, "two data_offsets, got more");
  refused(R"({"a":{"dtype":"U8","shape":2,"data_offsets":[0,2]}})", 2, "a list of whole numbers for shape, got a number");
  refused(R"({"a":{"dtype":"U8","shape":[[2]],"data_offsets":[0,2]}})", 2, "a list of whole numbers for shape, got an array");
  refused(R"({"a":{"dtype":"U8","shape":[-2],"data_offsets":[0,2]}})", 2, "got a negative number");
  refused(R"({"a":{"dtype":"U8","shape":[2.0],"data_offsets":[0,2]}})", 2, "got a fraction");
  refused(R"({"a":{"dtype":"U8","shape":[NaN],"data_offsets":[0,2]}})", 2, "syntax error");
  refused(R"({"a":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,2]}})", 2, "numbers below 2^63");
  refused(R"({"a":{"dtype":"U8","shape":[99999999999999999999999],"data_offsets":[0,2]}})", 2, "beyond 2^63");
  refused(R"({"a":{"dtype":7,"shape":[2],"data_offsets":[0,2]}})", 2, "a dtype's name, got a number");
  std::string shape = "1";
  for (int i = 0; i < 40; ++i) shape += ",1";
  refused(R"({"a":{"dtype":"U8","shape":[)" + shape + R"(],"data_offsets":[0,1]}})", 1, "at most 32 dimensions");
}

TEST(Safetensors, RefusesWrongRanges) {
  refused(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}})", 4, "below 2^63");
  refused(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", 4, "8 bytes for F32 [2], got 4 (tensor 'a')");
  refused(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[2,0]}})", 4, "in order");
  refused(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 3, "truncated");
  refused(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 5, "expected 4 bytes of data");
  refused(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})", 4, "without gap or overlap");
  refused(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}})", 3,
          "without gap or overlap, got a start at data byte 1 where 2 was due (tensor 'b')");
  refused(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 2,
          "without gap or overlap");
}

TEST(Safetensors, RefusesWrongSizes) {
  expect_error([] { parse("abc"); }, Code::kCorrupt, "8-byte header size");
  std::string huge(8, '\xff');
  expect_error([&] { parse(huge + "{}"); }, Code::kCorrupt, "at most 100000000 bytes");
  std::string longer = file_of("{}", 0);
  longer[0] = 9;
  expect_error([&] { parse(longer); }, Code::kCorrupt, "truncated");
}

TEST(Safetensors, EveryTruncationIsAnError) {
  const std::string file = file_of(
      R"({"__metadata__":{"k":"v"},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8);
  parse(file);
  for (size_t n = 0; n < file.size(); ++n)
    EXPECT_THROW(parse(file.substr(0, n)), Error) << n;
}

TEST(Safetensors, DeepNestingIsAnErrorNotACrash) {
  refused("{\"a\":{\"x\":" + std::string(1 << 20, '['), 0, "syntax error");
  refused("{" + std::string(1 << 20, '{'), 0, "syntax error");
}

TEST(Safetensors, WritesWhatItReads) {
  const TempDir dir;
  const float f[6] = {1, 2, 3, 4, 5, 6};
  const uint8_t u[3] = {7, 8, 9};
  const std::string path = dir / "m.safetensors";
  write_safetensors(path,
                    {{"small", DType::kU8, {3}, std::as_bytes(std::span(u))},
                     {"né\"w", DType::kF32, {2, 3}, std::as_bytes(std::span(f))},
                     {"empty", DType::kF16, {0}, {}}},
                    {{"format", "pt"}});
  const TensorSource source(path, {.entries = read_safetensors(path).entries});
  EXPECT_EQ(read_safetensors(path).metadata.at("format"), "pt");
  ASSERT_EQ(source.entries().size(), 3u);
  EXPECT_EQ(source.entries()[0].name, "né\"w");  // the widest first
  EXPECT_EQ(source.entries()[0].offset % 8, 0u);
  const auto data = TensorSource::data(source.at("né\"w"));
  EXPECT_EQ(0, std::memcmp(data.data(), f, sizeof f));
  EXPECT_EQ(TensorSource::data(source.at("small"))[2], std::byte{9});
  EXPECT_TRUE(TensorSource::data(source.at("empty")).empty());
  EXPECT_FALSE(file_exists(path + ".tmp"));
  expect_error([&] { source.at("other"); }, Code::kNotFound, "the tensor 'other'");
}

TEST(Safetensors, WriterRefusesNonsense) {
  const TempDir dir;
  const uint8_t u[3] = {7, 8, 9};
  const auto data = std::as_bytes(std::span(u));
  const auto write = [&](std::vector<TensorToWrite> t) { write_safetensors(dir / "m.safetensors", std::move(t)); };
  expect_error([&] { write({{"a", DType::kU8, {4}, data}}); }, Code::kInvalidArgument, "4 bytes");
  expect_error([&] { write({{"a", DType::kU8, {3}, data}, {"a", DType::kU8, {3}, data}}); }, Code::kInvalidArgument, "unique");
  expect_error([&] { write({{"\xff", DType::kU8, {3}, data}}); }, Code::kInvalidArgument, "UTF-8");
  expect_error([&] { write_safetensors(dir / "no/m.safetensors", {}); }, Code::kIo, "cannot write");
  EXPECT_FALSE(file_exists(dir / "m.safetensors"));
}

}  // namespace
}  // namespace transom
