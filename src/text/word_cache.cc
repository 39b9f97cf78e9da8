// Entries are one allocation each: header, ids, key bytes.
#include "text/word_cache.h"

#include <cstring>
#include <new>

namespace transom::text {

struct WordCache::Entry {
  uint32_t tag;
  uint16_t key_size, id_count;
  int32_t* ids() { return reinterpret_cast<int32_t*>(this + 1); }
  char* key() { return reinterpret_cast<char*>(ids() + id_count); }
};

WordCache::WordCache() : slots_(new std::atomic<Entry*>[kSlots]()) {}

WordCache::~WordCache() {
  for (size_t i = 0; i < kSlots; ++i) ::operator delete(slots_[i].load(std::memory_order_relaxed));
}

bool WordCache::find(std::string_view word, uint64_t hash, std::vector<int32_t>& out) const {
  const auto tag = static_cast<uint32_t>(hash >> 32);
  for (size_t probe = 0; probe < kProbes; ++probe) {
    Entry* e = slots_[(hash + probe) & (kSlots - 1)].load(std::memory_order_acquire);
    if (!e) return false;
    if (e->tag != tag || e->key_size != word.size() || std::memcmp(e->key(), word.data(), word.size()) != 0) continue;
    out.insert(out.end(), e->ids(), e->ids() + e->id_count);
    return true;
  }
  return false;
}

void WordCache::insert(std::string_view word, uint64_t hash, std::span<const int32_t> ids) const {
  if (word.size() > kMaxKey || ids.size() > kMaxIds) return;
  const size_t size = sizeof(Entry) + ids.size_bytes() + word.size();
  if (bytes_.fetch_add(size, std::memory_order_relaxed) + size > kMaxBytes) {
    bytes_.fetch_sub(size, std::memory_order_relaxed);
    return;
  }
  auto* e = new (::operator new(size)) Entry{static_cast<uint32_t>(hash >> 32), static_cast<uint16_t>(word.size()),
                                             static_cast<uint16_t>(ids.size())};
  std::memcpy(e->ids(), ids.data(), ids.size_bytes());
  std::memcpy(e->key(), word.data(), word.size());
  for (size_t probe = 0; probe < kProbes; ++probe) {
    Entry* expected = nullptr;
    if (slots_[(hash + probe) & (kSlots - 1)].compare_exchange_strong(expected, e, std::memory_order_release, std::memory_order_relaxed))
      return;
  }
  ::operator delete(e);
  bytes_.fetch_sub(size, std::memory_order_relaxed);
}

}  // namespace transom::text
