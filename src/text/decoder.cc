// The decoders of tokenizer.json as incremental stages: see decoder.h.
#include "text/decoder.h"

#include <array>
#include <utility>

#include "text/regex.h"
#include "text/stage_json.h"
#include "text/unicode.h"

namespace transom::text {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// All places of `from` replaced, as Rust's str::replace; an empty `from` stands between all characters and at the ends.
std::string replace_all(std::string_view s, std::string_view from, std::string_view to) {
  std::string out;
  size_t last = 0;
  if (from.empty()) {
    for (size_t i = 0; i < s.size(); i += utf8_len(s[i])) {
      out += to;
      out += s.substr(i, utf8_len(s[i]));
    }
    return out += to;
  }
  for (size_t at = s.find(from); at != std::string_view::npos; at = s.find(from, last)) {
    out.append(s.substr(last, at - last)).append(to);
    last = at + from.size();
  }
  return out.append(s.substr(last));
}

// The tidying of English punctuation that the WordPiece and CTC decoders share.
std::string clean_up(std::string s) {
  static constexpr std::array<std::array<std::string_view, 2>, 11> kRules = {{{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","},
      {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}}};
  for (const auto& [from, to] : kRules)
    if (s.find(from) != std::string::npos) s = replace_all(s, from, to);
  return s;
}

class Sink : public DecodeStage {
 public:
  explicit Sink(std::string& out) : out_(out) {}
  void part(std::string_view s) override { out_ += s; }
  void end() override {}
  void finish() override {}

 private:
  std::string& out_;
};

// A stage that needs its tokens whole.
class WholeTokens : public DecodeStage {
 public:
  explicit WholeTokens(DecodeStage& next) : next_(next) {}
  void part(std::string_view s) final { token_ += s; }
  void end() final {
    token(token_);
    token_.clear();
  }
  void finish() final {
    last();
    next_.finish();
  }

 protected:
  virtual void token(const std::string& s) = 0;
  virtual void last() {}
  void emit(std::string_view s) {
    next_.part(s);
    next_.end();
  }
  DecodeStage& next_;

 private:
  std::string token_;
};

class Fuse : public DecodeStage {
 public:
  explicit Fuse(DecodeStage& next) : next_(next) {}
  void part(std::string_view s) override { next_.part(s); }
  void end() override {}
  void finish() override {
    next_.end();
    next_.finish();
  }

 private:
  DecodeStage& next_;
};

// Without a decoder, tokens are joined by spaces.
class Spaced : public WholeTokens {
 public:
  using WholeTokens::WholeTokens;

 protected:
  void token(const std::string& s) override {
    if (!std::exchange(first_, false)) next_.part(" ");
    emit(s);
  }

 private:
  bool first_ = true;
};

class ByteLevel : public WholeTokens {
 public:
  using WholeTokens::WholeTokens;

 protected:
  void token(const std::string& s) override {
    const size_t before = bytes_.size();
    for (size_t i = 0; i < s.size();) {
      const Decoded d = decode_utf8(s.data() + i);
      const int b = char_to_byte(d.c);
      if (b < 0) {  // not of the alphabet, an added token for instance: taken literally
        bytes_.resize(before);
        bytes_ += s;
        break;
      }
      bytes_ += static_cast<char>(b);
      i += d.len;
    }
    flush(false);
  }
  void last() override {
    flush(true);
    next_.end();
  }

 private:
  // Passes on what is decided: all but the beginning of a character that may still be completed.
  void flush(bool all) {
    size_t at = 0;
    while (at < bytes_.size()) {
      const std::string_view rest = std::string_view(bytes_).substr(at);
      const size_t good = valid_utf8_prefix(rest);
      if (good > 0) next_.part(rest.substr(0, good));
      at += good;
      if (at == bytes_.size()) break;
      const BrokenPart broken = broken_utf8_part(std::string_view(bytes_).substr(at));
      if (broken.may_continue && !all) break;
      next_.part(kReplacement);
      at += broken.len;
    }
    bytes_.erase(0, at);
  }
  std::string bytes_;
};

class ByteFallback : public WholeTokens {
 public:
  using WholeTokens::WholeTokens;

 protected:
  void token(const std::string& s) override {
    const int b = byte_of(s);
    if (b >= 0) {
      bytes_ += static_cast<char>(b);
    } else {
      last();
      emit(s);
    }
  }
  // A run of byte tokens is text as a whole, or one U+FFFD for each: nothing is decided before its end.
  void last() override {
    if (bytes_.empty()) return;
    if (valid_utf8_prefix(bytes_) == bytes_.size()) emit(bytes_);
    else
      for (size_t i = 0; i < bytes_.size(); ++i) emit(kReplacement);
    bytes_.clear();
  }

 private:
  static int byte_of(std::string_view s) {
    if (s.size() != 6 || !s.starts_with("<0x") || s[5] != '>') return -1;
    const auto digit = [](char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1; };
    const int high = s[3] == '+' ? 0 : digit(s[3]), low = digit(s[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
  }
  std::string bytes_;
};

class WordPiece : public WholeTokens {
 public:
  WordPiece(DecodeStage& next, std::string prefix, bool cleanup) : WholeTokens(next), prefix_(std::move(prefix)), cleanup_(cleanup) {}

 protected:
  void token(const std::string& s) override {
    std::string out = std::exchange(first_, false) ? s : s.starts_with(prefix_) ? s.substr(prefix_.size()) : " " + s;
    emit(cleanup_ ? clean_up(std::move(out)) : out);
  }

 private:
  std::string prefix_;
  bool cleanup_, first_ = true;
};

class BpeDecoder : public WholeTokens {
 public:
  BpeDecoder(DecodeStage& next, Decoder::Budget& budget, std::string suffix)
      : WholeTokens(next), budget_(budget), suffix_(std::move(suffix)) {}

 protected:
  void token(const std::string& s) override {
    if (suffix_.empty()) budget_.take(s.size());
    if (held_) emit(replace_all(*held_, suffix_, " "));
    held_ = s;
  }
  void last() override {
    if (held_) emit(replace_all(*held_, suffix_, ""));
  }

 private:
  Decoder::Budget& budget_;
  std::string suffix_;
  std::optional<std::string> held_;
};

class Ctc : public WholeTokens {
 public:
  Ctc(DecodeStage& next, std::string pad, std::string delimiter, bool cleanup)
      : WholeTokens(next), pad_(std::move(pad)), delimiter_(std::move(delimiter)), cleanup_(cleanup) {}

 protected:
  void token(const std::string& s) override {
    if (previous_ == s) return;
    previous_ = s;
    std::string out = replace_all(s, pad_, "");
    if (cleanup_) out = replace_all(clean_up(std::move(out)), delimiter_, " ");
    if (!out.empty()) emit(out);
  }

 private:
  std::string pad_, delimiter_;
  bool cleanup_;
  std::optional<std::string> previous_;
};

class ReplaceRegex : public WholeTokens {
 public:
  ReplaceRegex(DecodeStage& next, Decoder::Budget& budget, std::shared_ptr<const Regex> regex, std::string content)
      : WholeTokens(next), budget_(budget), regex_(std::move(regex)), content_(std::move(content)) {}

 protected:
  void token(const std::string& s) override {
    if (s.empty()) return emit(s);
    std::string out;
    size_t at = 0;
    MatchIterator matches(*regex_, s);
    while (const auto m = matches.next()) {
      if (content_.size() > m->end - m->begin) budget_.take(content_.size());
      out.append(s, at, m->begin - at).append(content_);
      at = m->end;
    }
    emit(out.append(s, at));
  }

 private:
  Decoder::Budget& budget_;
  std::shared_ptr<const Regex> regex_;
  std::string content_;
};

// Replaces a plain string that is not empty, holding back only what could be the beginning of one.
class ReplaceString : public DecodeStage {
 public:
  ReplaceString(DecodeStage& next, Decoder::Budget& budget, std::string from, std::string to)
      : next_(next), budget_(budget), from_(std::move(from)), to_(std::move(to)) {}
  void part(std::string_view s) override {
    std::string joined;
    if (!held_.empty()) {
      joined = std::exchange(held_, {}) + std::string(s);
      s = joined;
    }
    size_t last = 0;
    for (size_t at = s.find(from_); at != std::string_view::npos; at = s.find(from_, last)) {
      if (at > last) next_.part(s.substr(last, at - last));
      if (to_.size() > from_.size()) budget_.take(to_.size());
      if (!to_.empty()) next_.part(to_);
      last = at + from_.size();
    }
    size_t keep = std::min(from_.size() - 1, s.size() - last);
    while (keep > 0 && !std::string_view(from_).starts_with(s.substr(s.size() - keep))) --keep;
    if (s.size() - keep > last) next_.part(s.substr(last, s.size() - keep - last));
    held_ = s.substr(s.size() - keep);
  }
  void end() override {
    if (!held_.empty()) next_.part(held_);
    held_.clear();
    next_.end();
  }
  void finish() override { next_.finish(); }

 private:
  DecodeStage& next_;
  Decoder::Budget& budget_;
  std::string from_, to_, held_;
};

class Metaspace : public DecodeStage {
 public:
  Metaspace(DecodeStage& next, std::string mark, bool strips_first) : next_(next), mark_(std::move(mark)), first_(strips_first) {}
  void part(std::string_view s) override {
    size_t last = 0;
    for (size_t at = s.find(mark_); at != std::string_view::npos; at = s.find(mark_, last)) {
      if (at > last) next_.part(s.substr(last, at - last));
      if (!first_) next_.part(" ");
      last = at + mark_.size();
    }
    if (last < s.size()) next_.part(s.substr(last));
  }
  void end() override {
    first_ = false;
    next_.end();
  }
  void finish() override { next_.finish(); }

 private:
  DecodeStage& next_;
  std::string mark_;
  bool first_;
};

// Drops up to `start` characters `content` at the beginning of each token, and up to `stop` at its end.
class Strip : public DecodeStage {
 public:
  Strip(DecodeStage& next, std::string content, uint64_t start, uint64_t stop)
      : next_(next), content_(std::move(content)), start_(start), stop_(stop), left_(start) {}
  void part(std::string_view s) override {
    while (left_ > 0 && s.starts_with(content_)) s.remove_prefix(content_.size()), --left_;
    if (s.empty()) return;
    left_ = 0;
    // The characters at the end that may yet turn out to be the last ones.
    size_t end = s.size();
    while (end >= content_.size() && s.substr(0, end).ends_with(content_)) end -= content_.size();
    uint64_t tail = (s.size() - end) / content_.size();
    if (end > 0) release(held_);
    if (end > 0) next_.part(s.substr(0, end));
    held_ += tail;
    if (held_ > stop_) release(held_ - stop_);
  }
  void end() override {
    held_ = 0;
    left_ = start_;
    next_.end();
  }
  void finish() override { next_.finish(); }

 private:
  void release(uint64_t n) {
    for (uint64_t i = 0; i < n; ++i) next_.part(content_);
    held_ -= n;
  }
  DecodeStage& next_;
  std::string content_;
  uint64_t start_, stop_, left_, held_ = 0;
};

}  // namespace

Decoder::Decoder(const Json& json, std::string_view context) {
  if (json.is_null()) steps_.push_back([](DecodeStage& next, Budget&) { return std::make_unique<Spaced>(next); });
  else add(json, context);
}

void Decoder::add(const Json& json, std::string_view context) {
  const StageJson j(json, fmt::format("{} decoder", context));
  const std::string& t = j.type();
  if (t == "Sequence") {
    for (const Json& d : j.array("decoders")) add(d, context);
  } else if (t == "SentencePiece") {
    steps_.push_back(sentencepiece_decoder(json, context));
  } else if (t == "ByteLevel") {
    steps_.push_back([](DecodeStage& next, Budget&) { return std::make_unique<ByteLevel>(next); });
  } else if (t == "ByteFallback") {
    steps_.push_back([](DecodeStage& next, Budget&) { return std::make_unique<ByteFallback>(next); });
  } else if (t == "Fuse") {
    steps_.push_back([](DecodeStage& next, Budget&) { return std::make_unique<Fuse>(next); });
  } else if (t == "WordPiece") {
    steps_.push_back([prefix = j.string("prefix"), cleanup = j.boolean("cleanup")](DecodeStage& next, Budget&) {
      return std::make_unique<WordPiece>(next, prefix, cleanup);
    });
  } else if (t == "BPEDecoder") {
    steps_.push_back([suffix = j.string("suffix")](DecodeStage& next, Budget& budget) { return std::make_unique<BpeDecoder>(next, budget, suffix); });
  } else if (t == "CTC") {
    steps_.push_back([pad = j.string("pad_token"), delimiter = j.string("word_delimiter_token"), cleanup = j.boolean("cleanup")](DecodeStage& next, Budget&) {
      return std::make_unique<Ctc>(next, pad, delimiter, cleanup);
    });
  } else if (t == "Metaspace") {
    std::string mark;
    append_utf8(mark, j.character("replacement"));
    const bool never = j.has("prepend_scheme") ? j.string("prepend_scheme") == "never" : !j.boolean("add_prefix_space", true);
    steps_.push_back([mark, never](DecodeStage& next, Budget&) { return std::make_unique<Metaspace>(next, mark, !never); });
  } else if (t == "Strip") {
    std::string content;
    append_utf8(content, j.character("content"));
    steps_.push_back([content, start = j.number("start"), stop = j.number("stop")](DecodeStage& next, Budget&) {
      return std::make_unique<Strip>(next, content, start, stop);
    });
  } else if (t == "Replace") {
    const Json& pattern = j.at("pattern");
    const std::string content = j.string("content");
    if (pattern.is_object() && pattern.contains("String") && pattern["String"].is_string() && !pattern["String"].get_ref<const std::string&>().empty()) {
      steps_.push_back([from = pattern["String"].get<std::string>(), content](DecodeStage& next, Budget& budget) {
        return std::make_unique<ReplaceString>(next, budget, from, content);
      });
    } else {
      steps_.push_back([regex = pattern_of(j), content](DecodeStage& next, Budget& budget) {
        return std::make_unique<ReplaceRegex>(next, budget, regex, content);
      });
    }
  } else {
    j.unknown();
  }
}

Decoder::Run::Run(const Decoder& decoder) {
  stages_.push_back(std::make_unique<Sink>(out_));
  for (size_t i = decoder.steps_.size(); i-- > 0;) stages_.push_back(decoder.steps_[i](*stages_.back(), budget_));
}

Decoder::Run::~Run() = default;

void Decoder::Budget::take(size_t bytes) {
  if (bytes > left) fail(Code::kResource, "decoder", "expected replacements to write a bounded text, got more");
  left -= bytes;
}

void Decoder::Run::push(std::string_view token, std::string& out) {
  budget_.left += 256 * token.size();
  stages_.back()->part(token);
  stages_.back()->end();
  out += out_;
  out_.clear();
}

void Decoder::Run::finish(std::string& out) {
  stages_.back()->finish();
  out += out_;
  out_.clear();
}

std::unique_ptr<Decoder::Run> Decoder::start() const { return std::make_unique<Run>(*this); }

}  // namespace transom::text
