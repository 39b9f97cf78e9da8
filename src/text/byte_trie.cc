// ByteTrie: see byte_trie.h.
#include "text/byte_trie.h"

#include <algorithm>

namespace transom::text {

ByteTrie::ByteTrie(std::vector<std::pair<std::string_view, int32_t>> keys) {
  std::erase_if(keys, [](const auto& k) { return k.first.empty(); });
  std::stable_sort(keys.begin(), keys.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  struct Range {
    size_t begin, end, depth;
  };
  std::vector<Range> ranges{{0, keys.size(), 0}};  // the keys below each node, in the order of nodes_
  nodes_.emplace_back();
  for (size_t n = 0; n < nodes_.size(); ++n) {
    auto [i, end, depth] = ranges[n];
    for (; i < end && keys[i].first.size() == depth; ++i)
      if (nodes_[n].value < 0) nodes_[n].value = keys[i].second;
    nodes_[n].first_child = static_cast<uint32_t>(nodes_.size());
    while (i < end) {
      const char byte = keys[i].first[depth];
      size_t j = i + 1;
      while (j < end && keys[j].first[depth] == byte) ++j;
      nodes_.push_back({.byte = static_cast<uint8_t>(byte)});
      ranges.push_back({i, j, depth + 1});
      ++nodes_[n].children;
      i = j;
    }
  }
  nodes_[0].value = -1;
}

uint32_t ByteTrie::child(uint32_t node, uint8_t byte) const {
  uint32_t low = nodes_[node].first_child, high = low + nodes_[node].children;
  if (nodes_[node].children == 256) return low + byte;
  while (low < high) {
    const uint32_t middle = (low + high) / 2;
    if (nodes_[middle].byte < byte) low = middle + 1;
    else high = middle;
  }
  return low < nodes_[node].first_child + nodes_[node].children && nodes_[low].byte == byte ? low : 0;
}

size_t ByteTrie::longest_match(std::string_view text) const {
  size_t longest = 0;
  each_match(text, [&](size_t length, int32_t) { longest = length; });
  return longest;
}

}  // namespace transom::text
