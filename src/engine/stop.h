// Stop strings over streamed text. The text comes in pieces of any size (a stop string may begin in one and end in
// another); what might still become a stop string is held back. The answer ends where a stop string is first completed,
// byte by byte, and among those completed at one byte the longest counts: so the result does not depend on the pieces.
// Matching: Knuth, Morris and Pratt, one automaton a stop string.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace transom {

class StopStrings {
 public:
  // No empty strings. With `include` the stop string that matched is part of the answer.
  explicit StopStrings(std::vector<std::string> stop = {}, bool include = false);

  // Appends to `out` the text that is final now. Returns the index of the stop string when one was completed: the answer
  // has ended, the rest of `piece` is dropped and nothing may be pushed after it. While not `armed` (min_tokens) nothing
  // in `piece` matches, not even in part.
  std::optional<size_t> push(std::string_view piece, std::string& out, bool armed = true);

  // Appends what is held back: the text ended without a stop string. Nothing after a match.
  void finish(std::string& out);

  const std::string& text(size_t i) const { return stops_[i].text; }
  size_t held_bytes() const { return held_.size(); }

 private:
  struct Stop {
    std::string text;
    std::vector<uint32_t> fallback;  // fallback[k]: the longest proper prefix that ends the first k + 1 bytes
    uint32_t matched = 0;            // how many bytes of `text` the text so far ends with
  };
  std::vector<Stop> stops_;
  std::string held_;  // the longest end of the text so far that begins a stop string
  bool include_;
};

}  // namespace transom
