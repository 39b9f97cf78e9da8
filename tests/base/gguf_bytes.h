// Writes GGUF headers byte by byte for tests: right ones, and any wrong one that a test needs.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/gguf_metadata.h"

namespace transom::test {

// A header under construction: counts are written by bytes(), pairs and tensors are kept apart until then.
class GgufBytes {
 public:
  template <class T>
  static void put(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  static void put_string(std::string& out, std::string_view s) {
    put<uint64_t>(out, s.size());
    out += s;
  }

  template <class T>
  GgufBytes& scalar(std::string_view key, GgufType type, T value) {
    begin(key, type);
    put<T>(pairs_, value);
    return *this;
  }
  GgufBytes& str(std::string_view key, std::string_view value) {
    begin(key, GgufType::kString);
    put_string(pairs_, value);
    return *this;
  }
  GgufBytes& strings(std::string_view key, const std::vector<std::string>& values) {
    begin_array(key, GgufType::kString, values.size());
    for (const std::string& v : values) put_string(pairs_, v);
    return *this;
  }
  template <class T>
  GgufBytes& array(std::string_view key, GgufType element, const std::vector<T>& values) {
    begin_array(key, element, values.size());
    for (T v : values) put<T>(pairs_, v);
    return *this;
  }
  // A pair whose bytes after the type are `raw`.
  GgufBytes& raw(std::string_view key, uint32_t type, std::string_view raw) {
    begin(key, static_cast<GgufType>(type));
    pairs_ += raw;
    return *this;
  }
  GgufBytes& tensor(std::string_view name, const std::vector<uint64_t>& dims, uint32_t type, uint64_t offset) {
    ++n_tensors_;
    put_string(tensors_, name);
    put<uint32_t>(tensors_, static_cast<uint32_t>(dims.size()));
    for (uint64_t d : dims) put<uint64_t>(tensors_, d);
    put<uint32_t>(tensors_, type);
    put<uint64_t>(tensors_, offset);
    return *this;
  }

  std::string bytes(uint32_t version = 3, size_t data_bytes = 0) const {
    std::string out = "GGUF";
    put<uint32_t>(out, version);
    put<uint64_t>(out, n_tensors_);
    put<uint64_t>(out, n_pairs_);
    out += pairs_ + tensors_;
    if (data_bytes != 0) out.resize((out.size() + 31) / 32 * 32 + data_bytes);
    return out;
  }

 private:
  void begin(std::string_view key, GgufType type) {
    ++n_pairs_;
    put_string(pairs_, key);
    put<uint32_t>(pairs_, static_cast<uint32_t>(type));
  }
  void begin_array(std::string_view key, GgufType element, size_t count) {
    begin(key, GgufType::kArray);
    put<uint32_t>(pairs_, static_cast<uint32_t>(element));
    put<uint64_t>(pairs_, count);
  }

  std::string pairs_, tensors_;
  uint64_t n_pairs_ = 0, n_tensors_ = 0;
};

inline GgufMetadata parse_gguf(const std::string& bytes) {
  return GgufMetadata::parse(std::as_bytes(std::span(bytes.data(), bytes.size())), "t.gguf");
}

}  // namespace transom::test
