// parse_sentencepiece: see sentencepiece_file.h.
#include "text/sentencepiece_file.h"

#include <cstring>

#include "base/error.h"

namespace transom::text {
namespace {

constexpr size_t kMaxPieceBytes = 8000;  // sentencepiece's own bound

// Reads the fields of one message in order. Wire types: 0 varint, 1 eight bytes, 2 length and bytes, 5 four bytes.
class Wire {
 public:
  Wire(std::string_view bytes, size_t offset, std::string_view context) : bytes_(bytes), offset_(offset), context_(context) {}

  // Steps to the next field; false at the end of the message.
  bool next() {
    if (pos_ == bytes_.size()) return false;
    const uint64_t key = varint();
    type_ = static_cast<int>(key & 7);
    number_ = key >> 3;
    if (number_ == 0) error("a field number above 0", "0");
    switch (type_) {
      case 0: value_ = varint(); break;
      case 1: data_ = take(8); break;
      case 2: data_ = take(varint()); break;
      case 5: data_ = take(4); break;
      default: error("a protobuf wire type of 0, 1, 2 or 5", std::to_string(type_));
    }
    return true;
  }
  uint64_t number() const { return number_; }

  uint64_t integer() const {
    expect(0);
    return value_;
  }
  bool boolean() const { return integer() != 0; }
  int32_t int32() const { return static_cast<int32_t>(integer()); }  // negative numbers come as 64-bit varints
  std::string_view bytes() const {
    expect(2);
    return data_;
  }
  float real() const {
    expect(5);
    float f;
    std::memcpy(&f, data_.data(), sizeof(f));
    return f;
  }
  Wire message() const { return Wire(bytes(), offset_ + static_cast<size_t>(data_.data() - bytes_.data()), context_); }
  size_t position() const { return offset_ + pos_; }

 private:
  [[noreturn]] void error(std::string_view expected, std::string_view got) const {
    fail(Code::kCorrupt, context_, "expected {}, got {} (byte {})", expected, got, offset_ + pos_);
  }
  void expect(int type) const {
    if (type_ != type) error(fmt::format("wire type {} for field {}", type, number_), std::to_string(type_));
  }
  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (pos_ == bytes_.size()) error("the rest of a varint", "the end");
      const auto byte = static_cast<uint8_t>(bytes_[pos_++]);
      value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    error("a varint of at most 10 bytes", "more");
  }
  std::string_view take(uint64_t n) {
    if (n > bytes_.size() - pos_) error(fmt::format("{} bytes", n), fmt::format("{} left", bytes_.size() - pos_));
    pos_ += n;
    return bytes_.substr(pos_ - n, n);
  }

  std::string_view bytes_, data_;
  size_t offset_, pos_ = 0;
  std::string_view context_;
  int type_ = 0;
  uint64_t number_ = 0, value_ = 0;
};

SentencePieceFile::Piece read_piece(Wire w, std::string_view context) {
  SentencePieceFile::Piece piece;
  while (w.next()) {
    if (w.number() == 1) piece.text = w.bytes();
    if (w.number() == 2) piece.score = w.real();
    if (w.number() == 3) {
      const uint64_t type = w.integer();
      if (type < 1 || type > 6) fail(Code::kCorrupt, context, "expected a piece type of 1 to 6, got {} (byte {})", type, w.position());
      piece.type = static_cast<PieceType>(type);
    }
  }
  if (piece.text.empty() || piece.text.size() >= kMaxPieceBytes)
    fail(Code::kCorrupt, context, "expected a piece of 1 to {} bytes, got {} (byte {})", kMaxPieceBytes - 1, piece.text.size(), w.position());
  return piece;
}

void read_trainer(Wire w, SentencePieceFile& out, std::string_view context) {
  out.has_trainer_spec = true;
  while (w.next()) {
    switch (w.number()) {
      case 3: {
        const uint64_t model = w.integer();
        if (model < 1 || model > 4) fail(Code::kCorrupt, context, "expected a model type of 1 to 4, got {} (byte {})", model, w.position());
        out.model = static_cast<SentencePieceFile::Model>(model);
        break;
      }
      case 24: out.treat_whitespace_as_suffix = w.boolean(); break;
      case 35: out.byte_fallback = w.boolean(); break;
      case 40: out.unk_id = w.int32(); break;
      case 41: out.bos_id = w.int32(); break;
      case 42: out.eos_id = w.int32(); break;
      case 43: out.pad_id = w.int32(); break;
      default: break;
    }
  }
}

void read_normalizer(Wire w, SentencePieceFile& out) {
  while (w.next()) {
    switch (w.number()) {
      case 2: out.charsmap = w.bytes(); break;
      case 3: out.add_dummy_prefix = w.boolean(); break;
      case 4: out.remove_extra_whitespaces = w.boolean(); break;
      case 5: out.escape_whitespaces = w.boolean(); break;
      default: break;
    }
  }
}

}  // namespace

SentencePieceFile parse_sentencepiece(std::string_view bytes, std::string_view context) {
  SentencePieceFile out;
  Wire w(bytes, 0, context);
  while (w.next()) {
    if (w.number() == 1) out.pieces.push_back(read_piece(w.message(), context));
    else if (w.number() == 2) read_trainer(w.message(), out, context);
    else if (w.number() == 3) read_normalizer(w.message(), out);
  }
  if (out.pieces.empty()) fail(Code::kCorrupt, context, "expected a sentencepiece model with pieces, got none");
  int unknowns = 0;
  for (const auto& p : out.pieces) unknowns += p.type == PieceType::kUnknown;
  if (unknowns > 1 || (unknowns == 0 && !out.byte_fallback))
    fail(Code::kCorrupt, context, "expected one unknown piece, got {}", unknowns);
  return out;
}

}  // namespace transom::text
