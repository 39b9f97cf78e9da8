// SlotPool: the memory of recurrent layers, whose state has one size however long a sequence is. A sequence has one slot, the
// same in every layer. What a slot holds when it is handed out does not matter: a sequence without tokens reads zeros
// (RecurrentTable::before). A recurrence cannot go back, so a state that is to serve again is copied at that very token
// (fork); prefixes that several requests share are not kept yet. Memory grows by half on demand. Not thread-safe: one engine owns it.
#pragma once

#include <cstdint>
#include <vector>

#include "state/page_pool.h"

namespace transom {

class SlotPool {
 public:
  // `specs` by state index, as layers registered them; those that keep nothing of a sequence as a whole are passed over.
  SlotPool(std::vector<StateSpec> specs, const Kernels& kernels);

  bool empty() const { return layers_.empty(); }  // the model has no recurrent layer
  void reserve(SequenceState& s, Stream& stream);
  // `to` goes on from what `from` holds, in a slot of its own.
  void fork(const SequenceState& from, SequenceState& to, Stream& stream);
  void release(SequenceState& s);
  // Fills in `slots` of the recurrent layers; valid until the next reserve().
  void add_views(std::vector<KvState>& states) const;
  int64_t bytes() const;

 private:
  struct Layer {
    size_t state;  // its index among the states
    int64_t size;  // F32 numbers a slot
    std::shared_ptr<std::byte> memory;
  };
  void grow(Stream& stream);

  std::vector<Layer> layers_;
  std::vector<int32_t> free_;
  int32_t capacity_ = 0;
  const Kernels& kernels_;
};

}  // namespace transom
