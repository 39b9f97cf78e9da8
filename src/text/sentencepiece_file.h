// A sentencepiece model file (sentencepiece_model.proto), read from the protobuf wire format by hand: every length is
// checked against the bytes that are there, unknown fields are skipped, nesting is fixed by the schema.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/piece.h"

namespace transom::text {

struct SentencePieceFile {
  struct Piece {
    std::string_view text;  // into the bytes given
    float score = 0;
    PieceType type = PieceType::kNormal;
  };
  enum class Model { kUnigram = 1, kBpe = 2, kWord = 3, kChar = 4 };

  std::vector<Piece> pieces;  // by id
  Model model = Model::kUnigram;
  bool byte_fallback = false, treat_whitespace_as_suffix = false;
  bool has_trainer_spec = false;
  int32_t unk_id = 0, bos_id = 1, eos_id = 2, pad_id = -1;
  std::string_view charsmap;
  bool add_dummy_prefix = true, remove_extra_whitespaces = true, escape_whitespaces = true;
};

// Throws Error{kCorrupt}: "context: expected …, got … (byte N)".
SentencePieceFile parse_sentencepiece(std::string_view bytes, std::string_view context);

}  // namespace transom::text
