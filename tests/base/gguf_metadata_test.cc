// GGUF headers: values of every type come back, and every kind of broken header is one error line and no big allocation.
#include "base/gguf_metadata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/gguf_bytes.h"

namespace transom {
namespace {

using test::GgufBytes;
using test::parse_gguf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string error_of(const std::string& bytes) {
  try {
    parse_gguf(bytes);
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos);
    return e.what();
  }
  return "no error";
}

GgufBytes sample() {
  GgufBytes b;
  b.str("general.architecture", "llama").scalar<uint32_t>("llama.block_count", GgufType::kU32, 30);
  b.scalar<float>("eps", GgufType::kF32, 0.5f).scalar<double>("d", GgufType::kF64, 0.25);
  b.scalar<uint8_t>("flag", GgufType::kBool, 1).scalar<int8_t>("negative", GgufType::kI8, -3);
  b.scalar<uint64_t>("huge", GgufType::kU64, ~uint64_t{0});
  b.strings("tokens", {"a", "", "▁b"}).array<float>("scores", GgufType::kF32, {1.0f, -2.0f});
  b.array<int32_t>("types", GgufType::kI32, {1, -1, 6});
  return b;
}

TEST(GgufMetadata, ReadsEveryKindOfValue) {
  for (uint32_t version : {2u, 3u}) {
    const std::string bytes = sample().tensor("w", {4, 3}, 2, 0).tensor("v", {8}, 0, 64).bytes(version, 128);
    const GgufMetadata m = parse_gguf(bytes);
    EXPECT_EQ(m.version(), version);
    EXPECT_EQ(m.str("general.architecture"), "llama");
    EXPECT_EQ(m.u32("llama.block_count"), 30u);
    EXPECT_EQ(m.f32("eps"), 0.5f);
    EXPECT_EQ(m.f64("d"), 0.25);
    EXPECT_EQ(m.f32("d"), 0.25f);
    EXPECT_TRUE(m.boolean("flag"));
    EXPECT_EQ(m.i64("negative"), -3);
    EXPECT_EQ(m.u64("huge"), ~uint64_t{0});
    EXPECT_THAT(m.strings("tokens"), ElementsAre("a", "", "▁b"));
    EXPECT_THAT(m.floats("scores"), ElementsAre(1.0f, -2.0f));
    EXPECT_THAT(m.integers("types"), ElementsAre(1, -1, 6));
    EXPECT_TRUE(m.strings("absent").empty());
    EXPECT_FALSE(m.find_u32("absent").has_value());
    ASSERT_EQ(m.tensors().size(), 2u);
    EXPECT_EQ(m.tensors()[0].name, "w");
    EXPECT_EQ(m.tensors()[0].elements(), 12u);
    EXPECT_EQ(m.tensors()[1].offset, 64u);
    EXPECT_EQ(m.data_offset() % 32, 0u);
    EXPECT_EQ(m.data_offset() + 128, bytes.size());
  }
}

TEST(GgufMetadata, WrongTypesAndRangesNameTheKey) {
  const std::string bytes = sample().bytes();
  const GgufMetadata m = parse_gguf(bytes);
  EXPECT_THROW(m.u32("general.architecture"), Error);
  EXPECT_THROW(m.u32("negative"), Error);
  EXPECT_THROW(m.i64("huge"), Error);
  EXPECT_THROW(m.u32("huge"), Error);
  EXPECT_THROW(m.f32("llama.block_count"), Error);
  EXPECT_THROW(m.str("eps"), Error);
  EXPECT_THROW(m.strings("scores"), Error);
  EXPECT_THROW(m.floats("types"), Error);
  EXPECT_THROW(m.integers("eps"), Error);
  try {
    m.str("absent");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kNotFound);
    EXPECT_THAT(e.what(), HasSubstr("t.gguf: expected the key 'absent'"));
  }
}

TEST(GgufMetadata, EveryTruncationIsAnError) {
  const std::string bytes = sample().tensor("w", {4, 3}, 2, 0).bytes(3, 64);
  const GgufMetadata whole = parse_gguf(bytes);
  for (size_t n = 0; n < whole.data_offset(); ++n) EXPECT_THROW(parse_gguf(bytes.substr(0, n)), Error) << n;
}

TEST(GgufMetadata, HugeCountsAreRefusedBeforeAllocating) {
  std::string header = "GGUF";
  GgufBytes::put<uint32_t>(header, 3);
  std::string tensors = header, pairs = header;
  GgufBytes::put<uint64_t>(tensors, ~uint64_t{0});
  GgufBytes::put<uint64_t>(tensors, 0);
  EXPECT_THAT(error_of(tensors), HasSubstr("expected at most 0 tensors"));
  GgufBytes::put<uint64_t>(pairs, 0);
  GgufBytes::put<uint64_t>(pairs, uint64_t{1} << 60);
  EXPECT_THAT(error_of(pairs), HasSubstr("key/value pairs"));

  std::string array;
  GgufBytes::put<uint32_t>(array, static_cast<uint32_t>(GgufType::kU64));
  GgufBytes::put<uint64_t>(array, (uint64_t{1} << 61) + 1);  // times 8 overflows to 8
  GgufBytes::put<uint64_t>(array, 0);
  EXPECT_THAT(error_of(GgufBytes().raw("k", 9, array).bytes()), HasSubstr("array elements"));

  std::string text;
  GgufBytes::put<uint64_t>(text, ~uint64_t{0} - 3);
  EXPECT_THAT(error_of(GgufBytes().raw("k", 8, text).bytes()), HasSubstr("for a string"));
}

TEST(GgufMetadata, NestedArraysAreReadToABoundedDepth) {
  const auto nested = [](int depth) {
    std::string raw;
    for (int i = 1; i < depth; ++i) {
      GgufBytes::put<uint32_t>(raw, static_cast<uint32_t>(GgufType::kArray));
      GgufBytes::put<uint64_t>(raw, 1);
    }
    GgufBytes::put<uint32_t>(raw, static_cast<uint32_t>(GgufType::kU8));
    GgufBytes::put<uint64_t>(raw, 1);
    return GgufBytes().raw("k", 9, raw + "x").bytes();
  };
  EXPECT_EQ(error_of(nested(4)), "no error");
  EXPECT_THAT(error_of(nested(5)), HasSubstr("nested at most 4 deep"));
  EXPECT_THAT(error_of(nested(50000)), HasSubstr("nested at most 4 deep"));
}

TEST(GgufMetadata, BadHeadersSayWhatWasFound) {
  EXPECT_THAT(error_of("GGML1234"), HasSubstr("magic"));
  EXPECT_THAT(error_of(""), HasSubstr("magic"));
  EXPECT_THAT(error_of(sample().bytes(1)), HasSubstr("version 2 or 3, got 1"));
  EXPECT_THAT(error_of(sample().bytes(4)), HasSubstr("version 2 or 3, got 4"));
  EXPECT_THAT(error_of(sample().bytes(0x03000000)), HasSubstr("big-endian"));
  EXPECT_THAT(error_of(GgufBytes().raw("k", 13, "").bytes() + "12345678"), HasSubstr("type up to 12, got 13"));
  EXPECT_THAT(error_of(GgufBytes().str("k", "a").str("k", "b").bytes()), HasSubstr("'k' twice"));
  EXPECT_THAT(error_of(GgufBytes().scalar<uint32_t>("general.alignment", GgufType::kU32, 24).bytes()), HasSubstr("power of two"));
  EXPECT_THAT(error_of(GgufBytes().scalar<uint32_t>("general.alignment", GgufType::kU32, 0).bytes()), HasSubstr("power of two"));
  EXPECT_THAT(error_of(GgufBytes().str("general.alignment", "32").bytes()), HasSubstr("an integer of 0 or more"));
}

TEST(GgufMetadata, BadTensorsNameTheTensor) {
  EXPECT_THAT(error_of(GgufBytes().tensor("w", {1, 1, 1, 1, 1}, 0, 0).bytes(3, 32)), HasSubstr("got 5 (tensor w)"));
  EXPECT_THAT(error_of(GgufBytes().tensor("w", {1u << 31, 1u << 31}, 0, 0).bytes(3, 32)), HasSubstr("2^48"));
  EXPECT_THAT(error_of(GgufBytes().tensor("w", {~uint64_t{0}}, 0, 0).bytes(3, 32)), HasSubstr("2^48"));
  EXPECT_THAT(error_of(GgufBytes().tensor("w", {1}, 0, 7).bytes(3, 32)), HasSubstr("multiple of 32, got 7"));
  EXPECT_THAT(error_of(GgufBytes().tensor("w", {1}, 0, 0).tensor("w", {1}, 0, 0).bytes(3, 32)), HasSubstr("'w' twice"));
  EXPECT_THAT(error_of(GgufBytes().tensor("w", {1}, 0, 0).bytes()), HasSubstr("tensor data at byte"));
}

}  // namespace
}  // namespace transom
