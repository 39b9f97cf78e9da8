// Kinds of vocabulary pieces, with the numbers that sentencepiece models and GGUF files store.
#pragma once

#include <cstdint>
#include <string_view>

namespace transom::text {

enum class PieceType : uint8_t {
  kUndefined = 0,  // GGUF only
  kNormal = 1,
  kUnknown = 2,      // what stands for anything that is not in the vocabulary
  kControl = 3,      // <s>, </s> …: never comes out of plain text by merging
  kUserDefined = 4,  // always one token where it stands in a text
  kUnused = 5,
  kByte = 6,  // <0x00> … <0xFF>
};

// The byte that "<0x0A>" stands for, -1 for any other piece.
inline int byte_of_piece(std::string_view piece) {
  if (piece.size() != 6 || piece.substr(0, 3) != "<0x" || piece[5] != '>') return -1;
  int value = 0;
  for (char c : piece.substr(3, 2)) {
    if (c >= '0' && c <= '9') value = value * 16 + (c - '0');
    else if (c >= 'A' && c <= 'F') value = value * 16 + (c - 'A' + 10);
    else return -1;
  }
  return value;
}

}  // namespace transom::text
