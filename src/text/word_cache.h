// A bounded, lock-free memory of words and their ids, shared by all threads of one tokenizer. Entries are only ever added,
// each immutable once published, so a reader needs one acquire load. When it is full it stays as it is.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

namespace transom::text {

class WordCache {
 public:
  static constexpr size_t kMaxKey = 96, kMaxIds = 48;

  WordCache();
  ~WordCache();
  WordCache(const WordCache&) = delete;
  WordCache& operator=(const WordCache&) = delete;

  // Appends the ids of `word` to `out`; false when it is not known.
  bool find(std::string_view word, uint64_t hash, std::vector<int32_t>& out) const;
  void insert(std::string_view word, uint64_t hash, std::span<const int32_t> ids) const;

 private:
  struct Entry;
  static constexpr size_t kSlots = size_t{1} << 17, kProbes = 4, kMaxBytes = size_t{24} << 20;
  std::unique_ptr<std::atomic<Entry*>[]> slots_;
  mutable std::atomic<size_t> bytes_{0};
};

}  // namespace transom::text
