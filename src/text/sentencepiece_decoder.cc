// Decoding as transformers' tokenizers over a sentencepiece model do it (Marian, M2M100): special tokens stand as they are, the pieces
// between two of them are a text of their own, whose dummy prefix goes, and white space around the whole goes too.
#include <unordered_set>

#include "text/decoder.h"
#include "text/stage_json.h"
#include "text/unicode.h"

namespace transom::text {
namespace {

constexpr std::string_view kSpace = "\xE2\x96\x81";

class SentencePieceDecoder final : public DecodeStage {
 public:
  SentencePieceDecoder(DecodeStage& next, std::shared_ptr<const std::unordered_set<std::string>> special, std::string after)
      : next_(next), special_(std::move(special)), after_(std::move(after)) {}
  void part(std::string_view s) override { token_ += s; }
  void end() override {
    if (special_->contains(token_)) {
      write(token_ + after_);
      at_start_ = true;
    } else {
      std::string_view rest = token_;
      if (at_start_ && rest.starts_with(kSpace)) rest.remove_prefix(kSpace.size());
      at_start_ = at_start_ && rest.empty();
      std::string text;
      for (size_t at = rest.find(kSpace); at != rest.npos; at = rest.find(kSpace)) {
        text.append(rest.substr(0, at)).append(" ");
        rest.remove_prefix(at + kSpace.size());
      }
      write(text.append(rest));
    }
    token_.clear();
    next_.end();
  }
  void finish() override { next_.finish(); }

 private:
  // White space waits until something else follows.
  void write(std::string_view s) {
    size_t begin = s.size(), end = 0;
    for (size_t i = 0; i < s.size(); i += utf8_len(s[i]))
      if (!props(decode_utf8(s.data() + i).c).space()) begin = std::min(begin, i), end = i + utf8_len(s[i]);
    if (end == 0) {
      if (began_) held_ += s;
      return;
    }
    if (began_) held_ += s.substr(0, begin);
    next_.part(held_);
    next_.part(s.substr(begin, end - begin));
    held_ = s.substr(end);
    began_ = true;
  }

  DecodeStage& next_;
  std::shared_ptr<const std::unordered_set<std::string>> special_;
  std::string after_, token_, held_;
  bool at_start_ = true, began_ = false;
};

}  // namespace

Decoder::Make sentencepiece_decoder(const Json& json, std::string_view context) {
  const StageJson j(json, fmt::format("{} decoder", context));
  auto special = std::make_shared<std::unordered_set<std::string>>();
  for (const Json& t : j.array("special"))
    if (t.is_string()) special->insert(t.get<std::string>());
  return [special, after = j.string("after_special")](DecodeStage& next, Decoder::Budget&) {
    return std::make_unique<SentencePieceDecoder>(next, special, after);
  };
}

}  // namespace transom::text
