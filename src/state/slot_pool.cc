// SlotPool: see slot_pool.h.
#include "state/slot_pool.h"

#include <algorithm>

#include "base/error.h"

namespace transom {
namespace {

size_t bytes_of(int64_t size, int32_t slots) { return sizeof(float) * static_cast<size_t>(size) * static_cast<size_t>(slots); }

}  // namespace

SlotPool::SlotPool(std::vector<StateSpec> specs, const Kernels& kernels) : kernels_(kernels) {
  for (size_t i = 0; i < specs.size(); ++i)
    if (specs[i].per_sequence > 0) layers_.push_back({.state = i, .size = specs[i].per_sequence, .memory = {}});
}

void SlotPool::grow(Stream& stream) {
  const int32_t capacity = capacity_ + std::max(1, capacity_ / 2);
  for (Layer& l : layers_) {
    std::shared_ptr<std::byte> larger = kernels_.allocate(bytes_of(l.size, capacity));
    if (l.memory) kernels_.copy_on_device(larger.get(), l.memory.get(), bytes_of(l.size, capacity_), stream);
    l.memory = std::move(larger);
  }
  for (int32_t s = capacity; s-- > capacity_;) free_.push_back(s);
  capacity_ = capacity;
}

void SlotPool::reserve(SequenceState& s, Stream& stream) {
  if (layers_.empty() || s.slot >= 0) return;
  if (free_.empty()) grow(stream);
  s.slot = free_.back();
  free_.pop_back();
}

void SlotPool::fork(const SequenceState& from, SequenceState& to, Stream& stream) {
  if (from.slot < 0) return;
  reserve(to, stream);
  for (const Layer& l : layers_)
    kernels_.copy_on_device(l.memory.get() + bytes_of(l.size, to.slot), l.memory.get() + bytes_of(l.size, from.slot), bytes_of(l.size, 1), stream);
}

void SlotPool::release(SequenceState& s) {
  if (s.slot >= 0) free_.push_back(s.slot);
  s.slot = -1;
  s.torn = false;
}

void SlotPool::add_views(std::vector<KvState>& states) const {
  for (const Layer& l : layers_) states[l.state].slots = {l.memory.get(), DType::kF32, capacity_, l.size, l.size};
}

int64_t SlotPool::bytes() const {
  int64_t n = 0;
  for (const Layer& l : layers_) n += static_cast<int64_t>(bytes_of(l.size, capacity_));
  return n;
}

}  // namespace transom
