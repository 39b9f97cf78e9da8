// WordPiece (greedy longest prefix, Hugging Face models/wordpiece) and WordLevel (the whole word or the unknown token).
#include <algorithm>

#include "base/error.h"
#include "text/model.h"
#include "text/unicode.h"

namespace transom::text {
namespace {

int32_t unknown_id(const std::optional<std::string>& token, int32_t id) {
  if (id < 0)
    fail(Code::kInvalidArgument, "tokenizer", "expected the unknown token {} in the vocabulary, got none", quote(token.value_or("")));
  return id;
}

class WordPiece : public Model {
 public:
  WordPiece(const TokenizerModel& spec, const Vocabulary& vocabulary)
      : vocabulary_(vocabulary), unk_(spec.unk_token), prefix_(spec.continuing_subword_prefix),
        max_chars_(static_cast<size_t>(std::max(spec.max_input_chars_per_word, 0))) {
    unk_id_ = unk_ ? vocabulary.find(*unk_) : -1;
  }

  void encode(std::string_view word, ModelScratch& scratch, std::vector<int32_t>& out) const override {
    const size_t before = out.size();
    if (word.size() > max_chars_ && count_chars(word) > max_chars_) return out.push_back(unknown_id(unk_, unk_id_));
    for (size_t start = 0; start < word.size();) {
      const std::string_view prefix = start > 0 ? std::string_view(prefix_) : std::string_view();
      // No token is longer than the longest: only that much of the rest is tried.
      const size_t room = vocabulary_.longest() > prefix.size() ? vocabulary_.longest() - prefix.size() : 0;
      size_t end = std::min(word.size(), start + room);
      while (end > start && end < word.size() && (static_cast<unsigned char>(word[end]) & 0xC0) == 0x80) --end;
      std::string& text = scratch.text;
      text.assign(prefix);
      text.append(word.substr(start, end - start));
      int32_t id = -1;
      while (end > start && (id = vocabulary_.find(text)) < 0) {
        const size_t cut = previous_char(word, end);
        text.resize(text.size() - (end - cut));
        end = cut;
      }
      if (id < 0) {
        out.resize(before);
        return out.push_back(unknown_id(unk_, unk_id_));
      }
      out.push_back(id);
      start = end;
    }
  }

 private:
  const Vocabulary& vocabulary_;
  std::optional<std::string> unk_;
  std::string prefix_;
  size_t max_chars_;
  int32_t unk_id_;
};

class WordLevel : public Model {
 public:
  WordLevel(const TokenizerModel& spec, const Vocabulary& vocabulary) : vocabulary_(vocabulary), unk_(spec.unk_token) {
    unk_id_ = unk_ ? vocabulary.find(*unk_) : -1;
  }
  void encode(std::string_view word, ModelScratch&, std::vector<int32_t>& out) const override {
    const int32_t id = vocabulary_.find(word);
    out.push_back(id >= 0 ? id : unknown_id(unk_, unk_id_));
  }

 private:
  const Vocabulary& vocabulary_;
  std::optional<std::string> unk_;
  int32_t unk_id_;
};

}  // namespace

std::unique_ptr<Model> make_word_piece(const TokenizerModel& spec, const Vocabulary& vocabulary) {
  return std::make_unique<WordPiece>(spec, vocabulary);
}
std::unique_ptr<Model> make_word_level(const TokenizerModel& spec, const Vocabulary& vocabulary) {
  return std::make_unique<WordLevel>(spec, vocabulary);
}

}  // namespace transom::text
