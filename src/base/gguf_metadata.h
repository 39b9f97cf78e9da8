// The header of a GGUF file (v2, v3, little endian): keys and values, and the directory of tensors (no tensor data, no
// meaning of types beyond GGUF's own). Everything is a view into the bytes given; nothing is copied and nothing is sized
// by a number from the file before that number was checked against the bytes that are there.
// Format: ggml's docs/gguf.md. Errors: Code::kCorrupt, "file: expected …, got … (byte N)".
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"

namespace transom {

enum class GgufType : uint32_t {
  kU8 = 0, kI8 = 1, kU16 = 2, kI16 = 3, kU32 = 4, kI32 = 5, kF32 = 6, kBool = 7, kString = 8, kArray = 9,
  kU64 = 10, kI64 = 11, kF64 = 12,
};
std::string_view gguf_type_name(GgufType type);

// One value as it lies in the file. For an array `element` and `count` say what it holds, and `bytes` are its elements
// (strings with their length prefixes); for a string `bytes` is its text.
struct GgufValue {
  GgufType type = GgufType::kU8;
  GgufType element = GgufType::kU8;
  uint64_t count = 0;
  std::span<const std::byte> bytes;
  uint64_t offset = 0;  // of `bytes` in the file
};

struct GgufTensorInfo {
  std::string_view name;
  uint32_t n_dims = 0;
  std::array<uint64_t, 4> dims{1, 1, 1, 1};  // ggml's order: dims[0] is the contiguous one
  uint32_t type = 0;                         // ggml_type id
  uint64_t offset = 0;                       // from GgufMetadata::data_offset(), a multiple of the alignment
  // Product of dims (checked not to overflow while reading).
  uint64_t elements() const { return dims[0] * dims[1] * dims[2] * dims[3]; }
};

class GgufMetadata {
 public:
  // Maps and reads a file; the map is kept alive by this value and shared through file().
  static GgufMetadata open(const std::string& path);
  // Reads bytes that the caller keeps alive; `name` stands for the file in errors.
  static GgufMetadata parse(std::span<const std::byte> bytes, std::string name);

  const std::shared_ptr<const MappedFile>& file() const { return file_; }  // null after parse()
  const std::string& path() const { return path_; }
  uint32_t version() const { return version_; }
  uint64_t alignment() const { return alignment_; }
  // Where tensor data starts in the file; may lie past its end when there are no tensors.
  uint64_t data_offset() const { return data_offset_; }
  const std::vector<GgufTensorInfo>& tensors() const { return tensors_; }  // in file order, names unique
  const std::map<std::string_view, GgufValue>& values() const { return values_; }

  bool has(std::string_view key) const { return find(key) != nullptr; }
  const GgufValue* find(std::string_view key) const;  // null when absent

  // Scalars: nothing when the key is absent; an error when it holds another type or a value out of range.
  // Integers of any width and sign convert when the value fits; floats convert between f32 and f64.
  std::optional<uint64_t> find_u64(std::string_view key) const;
  std::optional<int64_t> find_i64(std::string_view key) const;
  std::optional<uint32_t> find_u32(std::string_view key) const;
  std::optional<double> find_f64(std::string_view key) const;
  std::optional<float> find_f32(std::string_view key) const;
  std::optional<bool> find_bool(std::string_view key) const;
  std::optional<std::string_view> find_str(std::string_view key) const;

  // The same, where absence is an error too (Code::kNotFound).
  uint64_t u64(std::string_view key) const { return need(find_u64(key), key); }
  int64_t i64(std::string_view key) const { return need(find_i64(key), key); }
  uint32_t u32(std::string_view key) const { return need(find_u32(key), key); }
  double f64(std::string_view key) const { return need(find_f64(key), key); }
  float f32(std::string_view key) const { return need(find_f32(key), key); }
  bool boolean(std::string_view key) const { return need(find_bool(key), key); }
  std::string_view str(std::string_view key) const { return need(find_str(key), key); }

  // Arrays: empty when the key is absent (ask has()); an error when the elements are of another kind.
  std::vector<std::string_view> strings(std::string_view key) const;  // views into the file
  std::vector<int64_t> integers(std::string_view key) const;          // any integer type or bool
  std::vector<float> floats(std::string_view key) const;              // f32 or f64

 private:
  friend class GgufReader;
  template <class T>
  T need(std::optional<T> value, std::string_view key) const {
    if (!value) missing(key);
    return *value;
  }
  [[noreturn]] void missing(std::string_view key) const;
  [[noreturn]] void mismatch(std::string_view key, const GgufValue& value, std::string_view expected) const;
  const GgufValue* find_array(std::string_view key, std::string_view expected) const;

  std::shared_ptr<const MappedFile> file_;
  std::string path_;
  uint32_t version_ = 0;
  uint64_t alignment_ = 32, data_offset_ = 0;
  std::map<std::string_view, GgufValue> values_;
  std::vector<GgufTensorInfo> tensors_;
};

}  // namespace transom
