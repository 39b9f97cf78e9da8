// A static trie over byte strings: which of a set of strings start at a place of a text. Built once from sorted keys;
// the children of a node are contiguous and ordered by their byte.
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

namespace transom::text {

class ByteTrie {
 public:
  ByteTrie() = default;
  // Keys with values of 0 or more; empty keys are ignored, and of equal keys the first given stays.
  explicit ByteTrie(std::vector<std::pair<std::string_view, int32_t>> keys);

  bool empty() const { return nodes_.size() <= 1; }

  // Length of the longest key that `text` starts with, 0 if none.
  size_t longest_match(std::string_view text) const;

  // Calls visit(length, value) for every key that `text` starts with, shortest first.
  template <class Visit>
  void each_match(std::string_view text, Visit&& visit) const {
    if (nodes_.empty()) return;
    uint32_t node = 0;
    for (size_t i = 0; i < text.size(); ++i) {
      node = child(node, static_cast<uint8_t>(text[i]));
      if (node == 0) return;
      if (nodes_[node].value >= 0) visit(i + 1, nodes_[node].value);
    }
  }

 private:
  struct Node {
    uint32_t first_child = 0;
    uint16_t children = 0;
    uint8_t byte = 0;
    int32_t value = -1;
  };
  uint32_t child(uint32_t node, uint8_t byte) const;  // 0: none

  std::vector<Node> nodes_;  // breadth first; nodes_[0] is the root
};

}  // namespace transom::text
