// Building the token table: see vocabulary.h.
#include "text/vocabulary.h"

#include <algorithm>
#include <bit>

namespace transom::text {

Vocabulary::Vocabulary(std::vector<std::string> tokens) : tokens_(std::move(tokens)) {
  slots_.resize(std::bit_ceil(tokens_.size() * 2 + 2));
  mask_ = slots_.size() - 1;
  for (size_t id = 0; id < tokens_.size(); ++id) {
    const std::string& token = tokens_[id];
    if (token.empty()) continue;
    ++count_;
    longest_ = std::max(longest_, token.size());
    const uint64_t h = hash_bytes(token);
    const auto tag = static_cast<uint32_t>(h >> 32);
    size_t i = h & mask_;
    while (slots_[i].id >= 0 && !(slots_[i].tag == tag && tokens_[slots_[i].id] == token)) i = (i + 1) & mask_;
    has_twins_ = has_twins_ || slots_[i].id >= 0;
    slots_[i] = {tag, static_cast<int32_t>(id)};
  }
}

}  // namespace transom::text
