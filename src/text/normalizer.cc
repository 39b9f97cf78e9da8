// The normalizers of tokenizer.json: see normalizer.h. Unicode forms come from utf8proc, applied only to the stretches
// that a form can change, and with characters that `tokenizers`' older tables do not know left as they are.
#include "text/normalizer.h"

#include <utf8proc.h>

#include <cstdlib>
#include <utility>

#include "text/charsmap.h"
#include "text/regex.h"
#include "text/sentencepiece_normalizer.h"
#include "text/stage_json.h"
#include "text/unicode.h"

namespace transom::text {
namespace {

// Rewrites a text character by character: f(c, out) appends what becomes of c.
template <class F>
void map_chars(NormalizedText& text, F f) {
  std::string out;
  out.reserve(text.s.size() + 8);
  size_t start = 0;
  for (size_t i = 0; i < text.s.size();) {
    const Decoded d = decode_utf8(text.s.data() + i);
    f(d.c, out);
    if (i < text.start_bytes) start = out.size();
    i += d.len;
  }
  text.s = std::move(out);
  text.start_bytes = start;
}

void append_normalized(std::string& out, std::string_view s, int form) {
  static constexpr int kOptions[] = {UTF8PROC_STABLE | UTF8PROC_COMPOSE, UTF8PROC_STABLE | UTF8PROC_DECOMPOSE,
                                     UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
                                     UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT};
  utf8proc_uint8_t* result = nullptr;
  const utf8proc_ssize_t n = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(s.data()), static_cast<utf8proc_ssize_t>(s.size()),
                                          &result, static_cast<utf8proc_option_t>(kOptions[form]));
  const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(result, &std::free);
  if (n < 0) fail(Code::kInternal, "normalizer", "utf8proc: {}", utf8proc_errmsg(n));
  out.append(reinterpret_cast<const char*>(result), static_cast<size_t>(n));
}

// Length of the prefix that stands in the form already, up to the last character that begins a stretch to be normalized.
size_t safe_prefix(std::string_view s, size_t at, int form) {
  const bool composes = form == 0 || form == 2;
  size_t last = at;  // start of the last safe character: in a composing form the next one may join it
  while (at < s.size()) {
    if (static_cast<unsigned char>(s[at]) < 0x80) {
      last = at++;
      continue;
    }
    const Decoded d = decode_utf8(s.data() + at);
    const CharProps p = props(d.c);
    if (!p.safe_in(form)) return composes && !props(decode_utf8(s.data() + last).c).unknown_to_normalization() ? last : at;
    last = at;
    at += d.len;
  }
  return s.size();
}

class UnicodeForm : public Normalizer {
 public:
  explicit UnicodeForm(int form) : form_(form) {}
  bool leaves(std::string_view s) const override { return safe_prefix(s, 0, form_) == s.size(); }
  void apply(NormalizedText& text) const override {
    if (leaves(text.s)) return;
    text.start_bytes = unicode_normalize(std::string_view(text.s).substr(0, text.start_bytes), form_).size();
    text.s = unicode_normalize(text.s, form_);
  }

 private:
  int form_;
};

class Lowercase : public Normalizer {
 public:
  void apply(NormalizedText& text) const override {
    map_chars(text, [](char32_t c, std::string& out) { append_lower(out, c); });
  }
};

class StripAccents : public Normalizer {
 public:
  void apply(NormalizedText& text) const override {
    map_chars(text, [](char32_t c, std::string& out) {
      if (!props(c).combining_mark()) append_utf8(out, c);
    });
  }
};

class Nmt : public Normalizer {
 public:
  void apply(NormalizedText& text) const override {
    map_chars(text, [](char32_t c, std::string& out) {
      const bool dropped = (c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
      const bool blank = c == 9 || c == 10 || c == 12 || c == 13 || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
                         c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
      if (!dropped) append_utf8(out, blank ? U' ' : c);
    });
  }
};

class ByteLevelNormalizer : public Normalizer {
 public:
  void apply(NormalizedText& text) const override {
    std::string out;
    out.reserve(text.s.size() * 2);
    size_t start = 0;
    for (size_t i = 0; i < text.s.size(); ++i) {
      append_utf8(out, byte_to_char(static_cast<uint8_t>(text.s[i])));
      if (i < text.start_bytes) start = out.size();
    }
    text.s = std::move(out);
    text.start_bytes = start;
  }
};

class Strip : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}
  void apply(NormalizedText& text) const override {
    size_t begin = 0, end = text.s.size();
    while (left_ && begin < end) {
      const Decoded d = decode_utf8(text.s.data() + begin);
      if (!props(d.c).space()) break;
      begin += d.len;
    }
    while (right_ && end > begin) {
      const size_t p = previous_char(text.s, end);
      if (!props(decode_utf8(text.s.data() + p).c).space()) break;
      end = p;
    }
    text.start_bytes = text.start_bytes > begin ? text.start_bytes - begin : 0;
    text.s = text.s.substr(begin, end - begin);
  }

 private:
  bool left_, right_;
};

class Prepend : public Normalizer {
 public:
  explicit Prepend(std::string prefix) : prefix_(std::move(prefix)) {}
  void apply(NormalizedText& text) const override {
    if (text.s.empty()) return;
    if (text.start_bytes > 0) text.start_bytes += prefix_.size();
    text.s.insert(0, prefix_);
  }

 private:
  std::string prefix_;
};

class Replace : public Normalizer {
 public:
  Replace(std::shared_ptr<const Regex> regex, std::string content) : regex_(std::move(regex)), content_(std::move(content)) {}
  bool leaves(std::string_view s) const override { return s.empty() || !regex_->search(s, 0); }
  void apply(NormalizedText& text) const override {
    if (text.s.empty()) return;
    std::string out;
    out.reserve(text.s.size() + text.s.size() / 4);
    size_t last = 0, start = 0;
    MatchIterator matches(*regex_, text.s);
    while (const auto m = matches.next()) {
      out.append(text.s, last, m->begin - last);
      if (last < text.start_bytes) start = out.size() - (m->begin - std::min(m->begin, text.start_bytes));
      out += content_;
      text.check_size(out.size());
      if (text.start_bytes > 0 && (m->end == 0 || m->end - 1 < text.start_bytes)) start = out.size();
      last = m->end;
    }
    if (last < text.start_bytes) start = out.size() + text.start_bytes - last;
    out.append(text.s, last);
    text.s = std::move(out);
    text.start_bytes = start;
  }

 private:
  std::shared_ptr<const Regex> regex_;
  std::string content_;
};

class PrecompiledNormalizer : public Normalizer {
 public:
  PrecompiledNormalizer(std::string_view blob, std::string_view context) : map_(blob, context) {}
  void apply(NormalizedText& text) const override { text.s = map_.apply(text.s, &text.start_bytes); }

 private:
  Charsmap map_;
};

bool is_chinese(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0x20000 && c <= 0x2A6DF) ||
         (c >= 0x2A700 && c <= 0x2B73F) || (c >= 0x2B740 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0xF900 && c <= 0xFAFF) || (c >= 0x2F800 && c <= 0x2FA1F);
}

class BertNormalizer : public Normalizer {
 public:
  explicit BertNormalizer(const StageJson& j)
      : clean_(j.boolean("clean_text")), chinese_(j.boolean("handle_chinese_chars")), lower_(j.boolean("lowercase")) {
    strip_ = j.has("strip_accents") ? j.boolean("strip_accents") : lower_;
  }
  void apply(NormalizedText& text) const override {
    if (clean_ || chinese_)
      map_chars(text, [this](char32_t c, std::string& out) {
        if (clean_) {
          const bool blank = c == '\t' || c == '\n' || c == '\r' || props(c).space();
          if (c == 0 || c == 0xFFFD || (props(c).control() && c != '\t' && c != '\n' && c != '\r')) return;
          if (blank) c = ' ';
        }
        if (chinese_ && is_chinese(c)) {
          out += ' ';
          append_utf8(out, c);
          out += ' ';
        } else {
          append_utf8(out, c);
        }
      });
    if (strip_) {
      nfd_.apply(text);
      map_chars(text, [](char32_t c, std::string& out) {
        if (!props(c).nonspacing_mark()) append_utf8(out, c);
      });
    }
    if (lower_) lowercase_.apply(text);
  }

 private:
  bool clean_, chinese_, lower_, strip_;
  UnicodeForm nfd_{1};
  Lowercase lowercase_;
};

class NormalizerSequence : public Normalizer {
 public:
  explicit NormalizerSequence(std::vector<std::unique_ptr<Normalizer>> stages) : stages_(std::move(stages)) {}
  bool leaves(std::string_view s) const override {
    for (const auto& n : stages_)
      if (!n->leaves(s)) return false;
    return true;
  }
  void apply(NormalizedText& text) const override {
    for (const auto& n : stages_) {
      n->apply(text);
      text.check_size(text.s.size());
    }
  }

 private:
  std::vector<std::unique_ptr<Normalizer>> stages_;
};

}  // namespace

void NormalizedText::check_size(size_t size) const {
  if (size > limit) fail(Code::kResource, "normalizer", "expected a text of at most {} bytes after normalization, got more", limit);
}

std::string unicode_normalize(std::string_view s, int form) {
  std::string out;
  out.reserve(s.size() + 16);
  for (size_t at = 0; at < s.size();) {
    size_t from = safe_prefix(s, at, form);
    out.append(s.substr(at, from - at));
    if (from == s.size()) break;
    // The stretch to normalize: to the next character that nothing before it can touch.
    size_t end = from + utf8_len(s[from]);
    while (end < s.size() && !props(decode_utf8(s.data() + end).c).safe_in(form)) end += utf8_len(s[end]);
    append_normalized(out, s.substr(from, end - from), form);
    at = end;
  }
  return out;
}

std::unique_ptr<Normalizer> make_normalizer(const Json& json, std::string_view context) {
  if (json.is_null()) return nullptr;
  const StageJson j(json, fmt::format("{} normalizer", context));
  const std::string& t = j.type();
  if (t == "Sequence") {
    std::vector<std::unique_ptr<Normalizer>> stages;
    for (const Json& n : j.array("normalizers"))
      if (auto stage = make_normalizer(n, context)) stages.push_back(std::move(stage));
    return std::make_unique<NormalizerSequence>(std::move(stages));
  }
  if (t == "NFC") return std::make_unique<UnicodeForm>(0);
  if (t == "NFD") return std::make_unique<UnicodeForm>(1);
  if (t == "NFKC") return std::make_unique<UnicodeForm>(2);
  if (t == "NFKD") return std::make_unique<UnicodeForm>(3);
  if (t == "Lowercase") return std::make_unique<Lowercase>();
  if (t == "StripAccents") return std::make_unique<StripAccents>();
  if (t == "Nmt") return std::make_unique<Nmt>();
  if (t == "ByteLevel") return std::make_unique<ByteLevelNormalizer>();
  if (t == "Strip") return std::make_unique<Strip>(j.boolean("strip_left"), j.boolean("strip_right"));
  if (t == "Prepend") return std::make_unique<Prepend>(j.string("prepend"));
  if (t == "Bert" || t == "BertNormalizer") return std::make_unique<BertNormalizer>(j);
  if (t == "Precompiled") return std::make_unique<PrecompiledNormalizer>(decode_base64(j.string("precompiled_charsmap"), j.where()), j.where());
  if (t == "SentencePiece") return make_sentencepiece_normalizer(j);
  if (t == "Replace") return std::make_unique<Replace>(pattern_of(j), j.string("content"));
  j.unknown();
}

}  // namespace transom::text
