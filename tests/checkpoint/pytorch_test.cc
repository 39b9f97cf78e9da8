// torch.save files: real ones against the same tensors as safetensors, hostile ones, and zip files with wrong fields.
// The files in data/ were made by scripts/make_checkpoint_fixtures.py.
#include "checkpoint/pytorch_bin.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/file.h"
#include "checkpoint/expect_error.h"
#include "checkpoint/safetensors.h"
#include "checkpoint/zip_bytes.h"

namespace transom {
namespace {

using test::expect_error;
using test::ZipBytes;

std::string data_path(const std::string& file) { return std::string(TRANSOM_SOURCE_DIR) + "/tests/checkpoint/data/" + file; }

std::vector<TensorEntry> parse(const std::string& file) {
  return parse_pytorch(std::as_bytes(std::span(file.data(), file.size())), "t.bin");
}

void expect_equal(const std::string& file, const std::string& reference) {
  SCOPED_TRACE(file);
  const auto got = open_checkpoint(data_path(file)), want = open_checkpoint(data_path(reference));
  EXPECT_EQ(got->format(), CheckpointFormat::kPytorch);
  EXPECT_EQ(got->entries().size(), want->entries().size());
  for (const TensorEntry& w : want->entries()) {
    const TensorEntry& g = got->at(w.name);
    EXPECT_EQ(g.dtype, w.dtype) << w.name;
    EXPECT_EQ(g.shape, w.shape) << w.name;
    EXPECT_TRUE(std::ranges::equal(TensorSource::data(g), TensorSource::data(w))) << w.name;
  }
}

TEST(Pytorch, ReadsWhatTorchSaved) {
  expect_equal("state.bin", "state.safetensors");
  expect_equal("state_protocol4.bin", "state.safetensors");
  expect_equal("linear.bin", "linear.safetensors");
  expect_equal("linear_nested.bin", "linear.safetensors");
  expect_equal("linear_rezipped.bin", "linear.safetensors");
}

TEST(Pytorch, OnlyStridedViewsAreCopied) {
  const auto source = open_checkpoint(data_path("state.bin"));
  for (const TensorEntry& e : source->entries())
    EXPECT_EQ(e.owned != nullptr, e.name == "transposed" || e.name == "column" || e.name == "permuted") << e.name;
  EXPECT_EQ(source->at("w").offset, source->at("tied").offset);  // one storage, once in memory
  EXPECT_EQ(source->at("w").file, source->at("tied").file);
}

TEST(Pytorch, RefusesWhatIsNoPlainTensor) {
  const std::pair<const char*, const char*> cases[] = {
      {"bad_evil.bin", "expected tensors only, got the name 'posix.system' (nothing was executed"},
      {"bad_compressed.bin", "compressed (method 8)"},
      {"bad_big_endian.bin", "little-endian tensors, got the byte order 'big'"},
      {"bad_legacy.bin", "torch.save it again"},
      {"bad_expanded.bin", "views no larger than the file, got [1099511627776] with strides [0] (tensor 'w')"},
      {"bad_conjugate.bin", "lazily conjugated"},
      {"bad_sparse.bin", "got the name 'torch._utils._rebuild_sparse_tensor'"},
      {"bad_module.bin", "got the name 'torch.nn.modules.linear.Linear'"},
  };
  for (const auto& [file, text] : cases) {
    SCOPED_TRACE(file);
    expect_error([&] { open_checkpoint(data_path(file)); }, Code::kUnsupported, text);
  }
}

TEST(Pytorch, EveryTruncationIsAnError) {
  for (const char* file : {"linear.bin", "linear_rezipped.bin"}) {
    const std::string whole = read_file(data_path(file));
    parse(whole);
    for (size_t n = 0; n < whole.size(); ++n) EXPECT_THROW(parse(whole.substr(0, n)), Error) << n;
  }
}

TEST(Pytorch, EveryFlippedByteIsReadOrRefused) {
  const std::string whole = read_file(data_path("linear.bin"));
  for (size_t i = 0; i < whole.size(); ++i)
    for (const int flip : {1, 0x80, 0xff}) {
      std::string bytes = whole;
      bytes[i] = static_cast<char>(bytes[i] ^ flip);
      try {
        for (const TensorEntry& e : parse(bytes)) ASSERT_TRUE(e.owned || (e.offset <= bytes.size() && e.bytes <= bytes.size() - e.offset)) << i;
      } catch (const Error&) {
      }
    }
}

// {"w": float tensor} over the record data/0; numbers below 256. `elements` is what the pickle says of the storage.
std::string pickle_of(uint8_t elements, uint8_t offset, std::string_view shape, std::string_view strides) {
  const auto number = [](uint8_t n) { return std::string("K") + static_cast<char>(n); };
  const auto tuple = [&](std::string_view digits) {
    std::string out = "(";
    for (const char c : digits) out += number(static_cast<uint8_t>(c - '0'));
    return out + "t";
  };
  const auto text = [](std::string_view s) { return "U" + std::string(1, static_cast<char>(s.size())) + std::string(s); };
  return "\x80\x02}" + text("w") + "ctorch._utils\n_rebuild_tensor_v2\n((" + text("storage") + "ctorch\nFloatStorage\n" + text("0") + text("cpu") +
         number(elements) + "tQ" + number(offset) + tuple(shape) + tuple(strides) + "\x89}tRs.";
}

std::string file_of(const std::string& pickle, size_t storage_bytes = 24) {
  return ZipBytes().add("m/data.pkl", pickle).add("m/data/0", std::string(storage_bytes, '\1')).bytes();
}

TEST(Pytorch, ChecksViewsAgainstTheirStorage) {
  const auto good = parse(file_of(pickle_of(6, 0, "23", "31")));
  ASSERT_EQ(good.size(), 1u);
  EXPECT_EQ(good[0].bytes, 24u);
  EXPECT_TRUE(parse(file_of(pickle_of(6, 0, "23", "12"))).at(0).owned);
  EXPECT_EQ(parse(file_of(pickle_of(6, 5, "1", "9"))).at(0).bytes, 4u);
  EXPECT_EQ(parse(file_of(pickle_of(6, 9, "03", "31"))).at(0).bytes, 0u);
  const auto refused = [](const std::string& file, const std::string& text) { expect_error([&] { parse(file); }, Code::kCorrupt, text); };
  refused(file_of(pickle_of(6, 1, "23", "31")), "a view within the 6 elements of its storage, got [2, 3] with strides [3, 1] from 1 (tensor 'w')");
  refused(file_of(pickle_of(6, 0, "23", "41")), "within the 6 elements");
  refused(file_of(pickle_of(6, 7, "1", "1")), "within the 6 elements");
  refused(file_of(pickle_of(7, 0, "7", "1")), "28 bytes in the record 'data/0', got 24");
  refused(file_of(pickle_of(6, 0, "23", "1")), "a stride for each of 2 dimensions, got 1");
  refused(ZipBytes().add("m/data.pkl", pickle_of(6, 0, "6", "1")).bytes(), "the record 'data/0', got none (tensor 'w')");
  expect_error([] { parse(file_of(pickle_of(6, 0, "92", "00"))); }, Code::kUnsupported, "views no larger");
}

TEST(Pytorch, WrongZipFiles) {
  const std::string pickle = pickle_of(6, 0, "6", "1"), storage(24, '\1');
  const auto refused = [](const std::string& file, Code code, const std::string& text) { expect_error([&] { parse(file); }, code, text); };
  const auto with = [&](const test::ZipOptions& o) { return ZipBytes().add("m/data.pkl", pickle).add("m/data/0", storage, o).bytes(); };
  EXPECT_EQ(parse(with({})).size(), 1u);
  EXPECT_EQ(parse(with({.zip64 = true})).size(), 1u);
  refused("", Code::kCorrupt, "a zip file, got 0 bytes");
  refused(std::string(100000, 'P'), Code::kCorrupt, "no zip file");
  refused(with({.method = 8}), Code::kUnsupported, "compressed (method 8)");
  refused(with({.flags = 1}), Code::kUnsupported, "encrypted 'm/data/0'");
  refused(with({.size_lie = 4000}), Code::kCorrupt, "4024 bytes for the record 'm/data/0'");
  refused(with({.header_lie = 3}), Code::kCorrupt, "a local header at byte");
  refused(with({.header_lie = 1 << 30}), Code::kCorrupt, "a local header at byte 1073");
  refused(with({.local_name = "m/data/1"}), Code::kCorrupt, "the name 'm/data/0' in the local header");
  refused(ZipBytes().add("m/data.pkl", pickle).bytes(1), Code::kCorrupt, "at most 1 records");
  refused(ZipBytes().add("m/data.pkl", pickle).bytes(60000), Code::kCorrupt, "records in a directory of");
  refused(ZipBytes().add("m/data.pkl", pickle).bytes(0, 7), Code::kCorrupt, "zip directory");
  refused(ZipBytes().add("a", "x").add("a", "y").bytes(), Code::kCorrupt, "each record once, got 'a' twice");
  refused(ZipBytes().add("x", "y").bytes(), Code::kCorrupt, "a record data.pkl");
  refused(ZipBytes().add("a/data.pkl", "").add("b/data.pkl", "").bytes(), Code::kCorrupt, "one record data.pkl");
  refused(with({.header_lie = 1, .zip64 = true}), Code::kCorrupt, "a local header at byte");
  refused(ZipBytes().add("m/data/0", storage, {.size_lie = 10}).add("m/data.pkl", pickle).bytes(), Code::kCorrupt,
          "records apart, got 'm/data/0' and 'm/data.pkl' overlapping");
}

}  // namespace
}  // namespace transom
