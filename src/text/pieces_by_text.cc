// Pieces by a sentencepiece model, ids by a vocabulary of its own (Marian, M2M100): what the vocabulary lacks is unknown, and
// characters that the model does not know may be in the vocabulary all the same.
#include "base/error.h"
#include "text/model.h"
#include "text/unicode.h"

namespace transom::text {
namespace {

class PiecesByText final : public Model {
 public:
  PiecesByText(const TokenizerModel& spec, const Vocabulary& vocabulary, std::string_view context) : vocabulary_(vocabulary), pieces_(spec.pieces->tokens) {
    for (const std::string& t : pieces_.tokens())
      if (valid_utf8_prefix(t) != t.size()) fail(Code::kCorrupt, context, "expected pieces in UTF-8, got {}", quote(t, 60));
    const bool bpe = spec.pieces->kind == TokenizerModel::Kind::kMergeByScore;
    model_ = bpe ? make_merge_by_score(*spec.pieces, pieces_, false, context) : make_sentencepiece_unigram(*spec.pieces, pieces_, context);
    unk_id_ = vocabulary.find(spec.unk_token.value_or(""));
    if (unk_id_ < 0) fail(Code::kCorrupt, context, "expected the token {} in the vocabulary, got none", spec.unk_token.value_or("<unk>"));
    unknown_piece_ = spec.pieces->unk_token ? pieces_.find(*spec.pieces->unk_token) : -1;
    for (const std::string& t : pieces_.tokens()) ids_.push_back(id_of(t));
  }

  void encode(std::string_view text, ModelScratch& scratch, std::vector<int32_t>& out) const override {
    std::vector<std::string_view> unknown;
    scratch.unknown = &unknown;
    const size_t begin = out.size();
    model_->encode(text, scratch, out);
    scratch.unknown = nullptr;
    size_t next = 0;
    for (size_t i = begin; i < out.size(); ++i) {
      if (out[i] != unknown_piece_) out[i] = ids_[out[i]];
      else out[i] = next < unknown.size() ? id_of(unknown[next++]) : unk_id_;
    }
  }

 private:
  int32_t id_of(std::string_view piece) const {
    const int32_t id = vocabulary_.find(piece);
    return id >= 0 ? id : unk_id_;
  }

  const Vocabulary& vocabulary_;
  Vocabulary pieces_;
  std::unique_ptr<Model> model_;
  std::vector<int32_t> ids_;  // by the piece's id in the model
  int32_t unk_id_ = -1, unknown_piece_ = -1;
};

}  // namespace

std::unique_ptr<Model> make_pieces_by_text(const TokenizerModel& spec, const Vocabulary& vocabulary, std::string_view context) {
  return std::make_unique<PiecesByText>(spec, vocabulary, context);
}

}  // namespace transom::text
