// A byte trie over the sorted patterns; most positions of a text are ruled out by their first byte.
#include "text/added_tokens.h"

#include <algorithm>
#include <cstring>

#include "text/unicode.h"

namespace transom::text {

void AddedTokenMatcher::add(const std::string& pattern, const AddedToken& token) {
  if (pattern.empty()) return;
  patterns_.push_back({pattern, token.id, token.single_word, token.lstrip, token.rstrip});
}

void AddedTokenMatcher::build() {
  std::stable_sort(patterns_.begin(), patterns_.end(), [](const Pattern& a, const Pattern& b) { return a.text < b.text; });
  // Of equal patterns the last one added counts.
  std::vector<Pattern> unique;
  for (Pattern& p : patterns_) {
    if (!unique.empty() && unique.back().text == p.text) unique.back() = std::move(p);
    else unique.push_back(std::move(p));
  }
  patterns_ = std::move(unique);
  // Breadth first, so that a node's edges stand together.
  struct Todo {
    size_t node, begin, end, depth;
  };
  std::vector<Todo> todo{{0, 0, patterns_.size(), 0}};
  nodes_.assign(1, {});
  for (size_t t = 0; t < todo.size(); ++t) {
    auto [node, begin, end, depth] = todo[t];
    if (begin < end && patterns_[begin].text.size() == depth) nodes_[node].pattern = static_cast<int32_t>(begin++);
    nodes_[node].first_edge = static_cast<uint32_t>(edges_.size());
    while (begin < end) {
      const char c = patterns_[begin].text[depth];
      size_t stop = begin;
      while (stop < end && patterns_[stop].text[depth] == c) ++stop;
      edges_.push_back({static_cast<uint8_t>(c), static_cast<uint32_t>(nodes_.size())});
      ++nodes_[node].edge_count;
      todo.push_back({nodes_.size(), begin, stop, depth + 1});
      nodes_.emplace_back();
      begin = stop;
    }
  }
  for (uint32_t e = 0; e < nodes_[0].edge_count; ++e) starts_[edges_[e].byte] = 1;
  if (nodes_[0].edge_count == 1) only_start_ = edges_[0].byte;
}

bool AddedTokenMatcher::longest_at(std::string_view text, size_t at, size_t& end, int32_t& pattern) const {
  pattern = -1;
  const Node* node = &nodes_[0];
  for (size_t i = at; i < text.size(); ++i) {
    const auto b = static_cast<uint8_t>(text[i]);
    const Edge* first = edges_.data() + node->first_edge;
    const Edge* last = first + node->edge_count;
    const Edge* e = node->edge_count <= 8 ? std::find_if(first, last, [b](const Edge& x) { return x.byte >= b; })
                                          : std::lower_bound(first, last, b, [](const Edge& x, uint8_t v) { return x.byte < v; });
    if (e == last || e->byte != b) break;
    node = &nodes_[e->node];
    if (node->pattern >= 0) pattern = node->pattern, end = i + 1;
  }
  return pattern >= 0;
}

bool AddedTokenMatcher::next(std::string_view text, size_t search, size_t floor, Found& found) const {
  if (patterns_.empty()) return false;
  for (size_t at = search; at < text.size();) {
    if (only_start_ >= 0) {
      const void* p = std::memchr(text.data() + at, only_start_, text.size() - at);
      if (!p) return false;
      at = static_cast<size_t>(static_cast<const char*>(p) - text.data());
    } else if (!starts_[static_cast<uint8_t>(text[at])]) {
      ++at;
      continue;
    }
    size_t end = 0;
    int32_t index = -1;
    if (!longest_at(text, at, end, index)) {
      ++at;
      continue;
    }
    const Pattern& p = patterns_[index];
    const auto word_at = [&](size_t i) { return props(decode_utf8(text.data() + i).c).word(); };
    if (p.single_word && ((at > 0 && word_at(previous_char(text, at))) || (end < text.size() && word_at(end)))) {
      at = end;
      continue;
    }
    found = {p.lstrip ? std::max(at, floor) : at, end, end, p.id};
    while (p.lstrip && found.begin > floor) {
      const size_t before = previous_char(text, found.begin);
      if (!props(decode_utf8(text.data() + before).c).space()) break;
      found.begin = before;
    }
    while (p.rstrip && found.end < text.size()) {
      const Decoded d = decode_utf8(text.data() + found.end);
      if (!props(d.c).space()) break;
      found.end += d.len;
    }
    return true;
  }
  return false;
}

}  // namespace transom::text
