// The pre-tokenizers of tokenizer.json: see pre_tokenizer.h.
#include "text/pre_tokenizer.h"

#include <algorithm>
#include <optional>

#include "text/regex.h"
#include "text/stage_json.h"
#include "text/unicode.h"

namespace transom::text {
namespace {

enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

Behavior behavior_of(const StageJson& j) {
  const std::string s = j.string("behavior");
  if (s == "Removed") return Behavior::kRemoved;
  if (s == "Isolated") return Behavior::kIsolated;
  if (s == "MergedWithPrevious") return Behavior::kMergedWithPrevious;
  if (s == "MergedWithNext") return Behavior::kMergedWithNext;
  if (s == "Contiguous") return Behavior::kContiguous;
  fail(Code::kCorrupt, j.where(), "expected a split behavior, got {}", quote(s, 40));
}

// Turns the sequence of matches and gaps of a text into pieces, by behavior.
class Splitter {
 public:
  Splitter(const Piece& in, PreTokenizer::Out& out, Behavior behavior, bool invert)
      : in_(in), out_(out), behavior_(behavior), invert_(invert) {}

  void match(size_t begin, size_t end) {
    if (at_ != begin) range(at_, begin, false);
    range(begin, end, true);
    at_ = end;
  }
  void finish() {
    if (at_ != in_.s.size()) range(at_, in_.s.size(), false);
    if (pending_) out_(in_, pending_begin_, pending_end_);
  }

 private:
  void range(size_t begin, size_t end, bool is_match) {
    if (invert_) is_match = !is_match;
    switch (behavior_) {
      case Behavior::kRemoved:
        if (!is_match) out_(in_, begin, end);
        break;
      case Behavior::kIsolated:
        out_(in_, begin, end);
        break;
      case Behavior::kContiguous:
        keep(begin, end, is_match == previous_);
        break;
      case Behavior::kMergedWithPrevious:
        keep(begin, end, is_match && !previous_);
        break;
      case Behavior::kMergedWithNext:
        keep(begin, end, !is_match && previous_);
        break;
    }
    previous_ = is_match;
  }
  // Holds one piece back, which the next range may extend.
  void keep(size_t begin, size_t end, bool extends) {
    if (pending_ && extends) {
      pending_end_ = end;
      return;
    }
    if (pending_) out_(in_, pending_begin_, pending_end_);
    pending_ = true;
    pending_begin_ = begin;
    pending_end_ = end;
  }

  Piece in_;
  PreTokenizer::Out& out_;
  Behavior behavior_;
  bool invert_;
  bool previous_ = false, pending_ = false;
  size_t at_ = 0, pending_begin_ = 0, pending_end_ = 0;
};

class Split : public PreTokenizer {
 public:
  Split(std::shared_ptr<const Regex> regex, Behavior behavior, bool invert)
      : regex_(std::move(regex)), behavior_(behavior), invert_(invert) {}
  void split(Piece in, Out& out) const override {
    Splitter splitter(in, out, behavior_, invert_);
    MatchIterator matches(*regex_, in.s);
    while (const auto m = matches.next()) splitter.match(m->begin, m->end);
    splitter.finish();
  }

 private:
  std::shared_ptr<const Regex> regex_;
  Behavior behavior_;
  bool invert_;
};

// Splits at single characters that satisfy `is`.
class CharSplit : public PreTokenizer {
 public:
  using Is = bool (*)(char32_t);
  CharSplit(Is is, Behavior behavior) : is_(is), behavior_(behavior) {}
  void split(Piece in, Out& out) const override {
    Splitter splitter(in, out, behavior_, false);
    for (size_t i = 0; i < in.s.size();) {
      const Decoded d = decode_utf8(in.s.data() + i);
      if (is_(d.c)) splitter.match(i, i + d.len);
      i += d.len;
    }
    splitter.finish();
  }

 private:
  Is is_;
  Behavior behavior_;
};

bool is_space(char32_t c) { return props(c).space(); }
bool is_numeric(char32_t c) { return props(c).numeric(); }
bool is_punctuation(char32_t c) { return props(c).punctuation(); }

class CharDelimiterSplit : public PreTokenizer {
 public:
  explicit CharDelimiterSplit(char32_t delimiter) { append_utf8(delimiter_, delimiter); }
  void split(Piece in, Out& out) const override {
    Splitter splitter(in, out, Behavior::kRemoved, false);
    for (size_t at = in.s.find(delimiter_); at != std::string_view::npos; at = in.s.find(delimiter_, at + delimiter_.size()))
      splitter.match(at, at + delimiter_.size());
    splitter.finish();
  }

 private:
  std::string delimiter_;
};

// \w+|[^\w\s]+ of Rust's regex crate; the rest is dropped.
class Whitespace : public PreTokenizer {
 public:
  void split(Piece in, Out& out) const override {
    size_t begin = 0;
    int kind = 0;  // of the run that is open: 0 space, 1 word, 2 other
    for (size_t i = 0; i < in.s.size();) {
      const Decoded d = decode_utf8(in.s.data() + i);
      const CharProps p = props(d.c);
      const int k = p.word() ? 1 : p.space() ? 0 : 2;
      if (k != kind) {
        if (kind != 0) out(in, begin, i);
        begin = i;
        kind = k;
      }
      i += d.len;
    }
    if (kind != 0) out(in, begin, in.s.size());
  }
};

class FixedLength : public PreTokenizer {
 public:
  explicit FixedLength(uint64_t length) : length_(length) {}
  void split(Piece in, Out& out) const override {
    size_t begin = 0;
    uint64_t n = 0;
    for (size_t i = 0; i < in.s.size();) {
      i += utf8_len(in.s[i]);
      if (++n < length_) continue;
      out(in, begin, i);
      begin = i;
      n = 0;
    }
    out(in, begin, in.s.size());
  }

 private:
  uint64_t length_;
};

// Cuts where the script changes. What stands before the first character that has a script is dropped, as in the reference.
class UnicodeScripts : public PreTokenizer {
 public:
  void split(Piece in, Out& out) const override {
    std::optional<size_t> begin;
    int last = 0;
    for (size_t i = 0; i < in.s.size();) {
      const Decoded d = decode_utf8(in.s.data() + i);
      const int script = script_of(d.c);
      if (script != 0 && script != last) {
        if (begin) out(in, *begin, i);
        begin = i;
        last = script;
      }
      i += d.len;
    }
    if (begin) out(in, *begin, in.s.size());
  }
};

class Metaspace : public PreTokenizer {
 public:
  explicit Metaspace(const StageJson& j) {
    append_utf8(mark_, j.character("replacement"));
    const std::string scheme = j.has("prepend_scheme") ? j.string("prepend_scheme") : "always";
    if (scheme == "always") prepend_ = kAlways;
    else if (scheme == "first") prepend_ = kFirst;
    else if (scheme == "never") prepend_ = kNever;
    else fail(Code::kCorrupt, j.where(), "expected a prepend_scheme of Metaspace, got {}", quote(scheme, 40));
    if (j.has("add_prefix_space") && !j.boolean("add_prefix_space")) {
      if (j.has("prepend_scheme") && prepend_ != kNever)
        fail(Code::kCorrupt, j.where(), "expected add_prefix_space to agree with prepend_scheme in Metaspace, got false and '{}'", scheme);
      prepend_ = kNever;
    }
    split_ = j.boolean("split", true);
  }
  void split(Piece in, Out& out) const override {
    std::string s;
    s.reserve(in.s.size() + in.s.size() / 2 + mark_.size());
    const bool first = in.start_bytes > 0;
    if (!in.s.starts_with(mark_) && in.s[0] != ' ' && (prepend_ == kAlways || (prepend_ == kFirst && first))) s = mark_;
    size_t start = first ? s.size() : 0;
    for (size_t i = 0; i < in.s.size(); ++i) {
      if (in.s[i] == ' ') s += mark_;
      else s += in.s[i];
      if (i < in.start_bytes) start = s.size();
    }
    const Piece text{s, start};
    if (!split_) return out(text);
    Splitter splitter(text, out, Behavior::kMergedWithNext, false);
    for (size_t at = s.find(mark_); at != std::string::npos; at = s.find(mark_, at + mark_.size())) splitter.match(at, at + mark_.size());
    splitter.finish();
  }

 private:
  std::string mark_;
  enum { kAlways, kFirst, kNever } prepend_ = kAlways;
  bool split_ = true;
};

constexpr ptrdiff_t kMaxRewrites = 6;
constexpr std::string_view kGpt2Pattern = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

class ByteLevel : public PreTokenizer {
 public:
  explicit ByteLevel(const StageJson& j)
      : prefix_space_(j.boolean("add_prefix_space")), regex_(j.boolean("use_regex", true) ? Regex::compile(kGpt2Pattern, j.where()) : nullptr) {}
  void leave_bytes() { maps_ = false; }
  bool does_nothing() const { return !maps_ && !prefix_space_ && !regex_; }

  void split(Piece in, Out& out) const override {
    std::string prefixed;
    if (prefix_space_ && in.s[0] != ' ') {
      prefixed.reserve(in.s.size() + 1);
      prefixed += ' ';
      prefixed += in.s;
      in = {prefixed, in.start_bytes > 0 ? in.start_bytes + 1 : 0};
    }
    if (!regex_) return emit(in, 0, in.s.size(), out);
    size_t at = 0;
    MatchIterator matches(*regex_, in.s);
    while (const auto m = matches.next()) {
      emit(in, at, m->begin, out);
      emit(in, m->begin, m->end, out);
      at = m->end;
    }
    emit(in, at, in.s.size(), out);
  }

 private:
  void emit(const Piece& in, size_t begin, size_t end, Out& out) const {
    if (begin == end) return;
    if (!maps_) return out(in, begin, end);
    std::string s;
    s.reserve((end - begin) * 2);
    size_t start = 0;
    for (size_t i = begin; i < end; ++i) {
      append_utf8(s, byte_to_char(static_cast<uint8_t>(in.s[i])));
      if (i < in.start_bytes) start = s.size();
    }
    out(Piece{s, start});
  }

  bool prefix_space_;
  std::shared_ptr<const Regex> regex_;
  bool maps_ = true;
};

std::unique_ptr<PreTokenizer> make_stage(const StageJson& j) {
  const std::string& t = j.type();
  if (t == "Split") return std::make_unique<Split>(pattern_of(j), behavior_of(j), j.boolean("invert"));
  if (t == "ByteLevel") return std::make_unique<ByteLevel>(j);
  if (t == "Metaspace") return std::make_unique<Metaspace>(j);
  if (t == "Whitespace") return std::make_unique<Whitespace>();
  if (t == "WhitespaceSplit") return std::make_unique<CharSplit>(is_space, Behavior::kRemoved);
  if (t == "Digits")
    return std::make_unique<CharSplit>(is_numeric, j.boolean("individual_digits") ? Behavior::kIsolated : Behavior::kContiguous);
  if (t == "Punctuation") return std::make_unique<CharSplit>(is_punctuation, j.has("behavior") ? behavior_of(j) : Behavior::kIsolated);
  if (t == "CharDelimiterSplit" || t == "Delimiter") return std::make_unique<CharDelimiterSplit>(j.character("delimiter"));
  if (t == "UnicodeScripts") return std::make_unique<UnicodeScripts>();
  if (t == "FixedLength") {
    const uint64_t length = j.has("length") ? j.number("length") : 5;
    if (length == 0) fail(Code::kCorrupt, j.where(), "expected a length over 0 in FixedLength, got 0");
    return std::make_unique<FixedLength>(length);
  }
  j.unknown();
}

}  // namespace

PreTokenizerChain::PreTokenizerChain(const Json& json, std::string_view context, bool* byte_level_tail) {
  if (!json.is_null()) add(json, context);
  auto* tail = stages_.empty() ? nullptr : dynamic_cast<ByteLevel*>(stages_.back().get());
  // Each of these may make a text several times as long.
  const auto rewrites = std::count_if(stages_.begin(), stages_.end(), [](const auto& s) {
    return dynamic_cast<const ByteLevel*>(s.get()) || dynamic_cast<const Metaspace*>(s.get());
  });
  if (rewrites > kMaxRewrites)
    fail(Code::kUnsupported, context, "expected at most {} ByteLevel and Metaspace stages, got {}", kMaxRewrites, rewrites);
  if (!tail || !byte_level_tail) return;
  *byte_level_tail = true;
  tail->leave_bytes();
  if (tail->does_nothing()) stages_.pop_back();
}

void PreTokenizerChain::add(const Json& json, std::string_view context) {
  const StageJson j(json, fmt::format("{} pre_tokenizer", context));
  if (j.type() == "Sequence") {
    for (const Json& p : j.array("pretokenizers")) add(p, context);
    return;
  }
  if (j.type() == "BertPreTokenizer") {
    stages_.push_back(std::make_unique<CharSplit>(is_space, Behavior::kRemoved));
    stages_.push_back(std::make_unique<CharSplit>(is_punctuation, Behavior::kIsolated));
    return;
  }
  stages_.push_back(make_stage(j));
}

}  // namespace transom::text
