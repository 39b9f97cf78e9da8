// PagePool: the memory in which layers keep keys and values between steps. Layers with equal windows, and those that attend to a
// source (StateSpec::Tokens), form a group; a group hands out pages of `page_size` tokens, and one page id means the same rows in
// every layer of its group. Groups with a window take back the pages behind it. Sequences that began as one share the pages that
// were full then. Memory grows on demand (doubling, contents kept), never "90 % of the machine". Not thread-safe: one engine owns it.
#pragma once

#include <cstdint>
#include <vector>

#include "ops/context.h"
#include "spec/params.h"

namespace transom {

// One sequence's pages: per group the page ids in order of tokens, -1 where a window has passed.
struct SequenceState {
  int64_t length = 0;         // tokens kept
  int64_t source_length = 0;  // rows of its source
  std::vector<std::vector<int32_t>> pages;
  int32_t slot = -1;   // where recurrent layers keep their state (SlotPool)
  bool torn = false;   // a step failed between its layers: some of them are a step ahead
};

class PagePool {
 public:
  // `specs` by state index, as layers registered them; values are stored as `dtype` (of kv_write). Not more than
  // `max_pages` pages a group (0: no bound).
  PagePool(std::vector<StateSpec> specs, int32_t page_size, DType dtype, const Kernels& kernels, int64_t max_pages = 0);

  int32_t page_size() const { return page_size_; }
  int32_t groups() const { return static_cast<int32_t>(groups_.size()); }
  bool of_source(int32_t group) const { return groups_[group].tokens == StateSpec::Tokens::kSource; }
  // Makes room for `tokens` more. Error{kResource} when the bound is reached; the sequence is then as before.
  void reserve(SequenceState& s, int64_t tokens, Stream& stream);
  // A sequence that goes on from what `s` holds: whole pages are shared, the last one is copied.
  SequenceState fork(const SequenceState& s, Stream& stream);
  // The tokens of a step have been written: length grows, pages behind windows return.
  void advance(SequenceState& s, int64_t tokens);
  void release(SequenceState& s);

  std::vector<KvState> views() const;  // by state index; valid until the next reserve()
  int64_t used_pages() const;          // of all groups
  int64_t bytes() const;               // memory held
  int64_t bytes_per_token() const;     // of a sequence without windows passed

 private:
  struct Group {
    int32_t window = 0;
    StateSpec::Tokens tokens = StateSpec::Tokens::kOwn;
    std::vector<int32_t> states;
    std::vector<int32_t> free;
    std::vector<int32_t> users;  // sequences that hold each page
    int32_t capacity = 0;
  };
  struct Cache {
    std::shared_ptr<std::byte> k, v;
  };
  void grow(Group& g, int32_t pages, Stream& stream);
  int32_t take(Group& g, Stream& stream);
  static void drop(Group& g, int32_t page);
  void copy_rows(int32_t state, int32_t from, int32_t to, int64_t rows, Stream& stream);
  int64_t pages_for(const Group& g, const SequenceState& s, int64_t tokens) const;
  int64_t page_bytes(int64_t dim) const { return page_size_ * row_bytes(dtype_, dim); }

  std::vector<StateSpec> specs_;
  std::vector<int32_t> group_of_;
  std::vector<Group> groups_;
  std::vector<Cache> caches_;
  int32_t page_size_;
  DType dtype_;
  const Kernels& kernels_;
  int64_t max_pages_;
};

}  // namespace transom
