// Added tokens: strings that are cut out of a text before (or, when `normalized`, after) normalization and have ids of
// their own. The leftmost, longest match wins. Meaning as Hugging Face `tokenizers`, tokenizer/added_vocabulary.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer_spec.h"

namespace transom::text {

// Finds added tokens in a text.
class AddedTokenMatcher {
 public:
  // Registers `pattern` as the way in which `token` stands in a text. Empty patterns never match.
  void add(const std::string& pattern, const AddedToken& token);
  // Call once after the last add().
  void build();
  bool empty() const { return patterns_.empty(); }

  struct Found {
    size_t begin, end;  // with the white space that lstrip and rstrip take in
    size_t match_end;   // without it: where to search on
    int32_t id;
  };
  // The next token at or after `search`; lstrip reaches back to `floor`, the end of the token before. False when none is left.
  bool next(std::string_view text, size_t search, size_t floor, Found& found) const;

 private:
  struct Node {
    int32_t pattern = -1;
    uint32_t first_edge = 0, edge_count = 0;
  };
  struct Edge {
    uint8_t byte;
    uint32_t node;
  };
  struct Pattern {
    std::string text;
    int32_t id;
    bool single_word, lstrip, rstrip;
  };
  bool longest_at(std::string_view text, size_t at, size_t& end, int32_t& pattern) const;

  std::vector<Pattern> patterns_;  // sorted by text after build()
  std::vector<Node> nodes_;
  std::vector<Edge> edges_;
  std::array<uint8_t, 256> starts_{};  // bytes that a pattern starts with
  int only_start_ = -1;                // that byte, when there is just one
};

}  // namespace transom::text
