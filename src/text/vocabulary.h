// The token table: strings by id, and ids by string in an open-addressing hash. A string that occurs twice has the later id.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace transom::text {

// A fast hash of bytes, good enough for tables that compare on a hit.
inline uint64_t hash_bytes(std::string_view s) {
  constexpr uint64_t kMul = 0x9E3779B97F4A7C15u;
  uint64_t h = s.size() * kMul;
  const auto mix = [&h](uint64_t w) {
    h = (h ^ w) * kMul;
    h ^= h >> 29;
  };
  const char* p = s.data();
  size_t n = s.size();
  uint64_t w;
  for (; n >= 8; p += 8, n -= 8) {
    std::memcpy(&w, p, 8);
    mix(w);
  }
  if (n >= 4) {
    uint32_t a, b;
    std::memcpy(&a, p, 4);
    std::memcpy(&b, p + n - 4, 4);
    mix(uint64_t{a} << 32 | b);
  } else if (n > 0) {
    mix(static_cast<uint64_t>(static_cast<unsigned char>(p[0])) << 16 | static_cast<uint64_t>(static_cast<unsigned char>(p[n / 2])) << 8 |
        static_cast<unsigned char>(p[n - 1]));
  }
  h *= kMul;
  return h ^ h >> 32;
}

class Vocabulary {
 public:
  Vocabulary() = default;
  explicit Vocabulary(std::vector<std::string> tokens);

  // The id of `token`, -1 when there is none. The empty string has none.
  int32_t find(std::string_view token) const { return find(token, hash_bytes(token)); }

  // The same in three steps, for many look-ups at a time: the first two bring what the last one needs into the cache.
  void prefetch_slot(uint64_t hash) const {
    if (!slots_.empty()) __builtin_prefetch(&slots_[hash & mask_]);
  }
  void prefetch_token(uint64_t hash) const {
    if (!slots_.empty() && slots_[hash & mask_].id >= 0) __builtin_prefetch(&tokens_[slots_[hash & mask_].id]);
  }
  int32_t find(std::string_view token, uint64_t h) const {
    if (slots_.empty() || token.empty()) return -1;
    const auto tag = static_cast<uint32_t>(h >> 32);
    for (size_t i = h & mask_;; i = (i + 1) & mask_) {
      const Slot& s = slots_[i];
      if (s.id < 0) return -1;
      if (s.tag == tag && tokens_[s.id] == token) return s.id;
    }
  }

  // Strings by id; "" where an id is unused.
  const std::vector<std::string>& tokens() const { return tokens_; }
  // How many ids are used.
  size_t count() const { return count_; }
  size_t longest() const { return longest_; }
  // Whether a string occurs twice.
  bool has_twins() const { return has_twins_; }

 private:
  struct Slot {
    uint32_t tag = 0;
    int32_t id = -1;
  };
  std::vector<std::string> tokens_;
  std::vector<Slot> slots_;
  size_t mask_ = 0, count_ = 0, longest_ = 0;
  bool has_twins_ = false;
};

}  // namespace transom::text
