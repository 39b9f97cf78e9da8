// Oniguruma behind Regex. Property classes (\p{L}, \w, \d …) are spelled out from our own tables, so that the answer does
// not depend on which Unicode version the installed Oniguruma was built with.
#include "text/regex.h"

#include <oniguruma.h>

#include <array>
#include <map>
#include <mutex>
#include <new>
#include <vector>

#include "base/error.h"
#include "text/pattern_matcher.h"
#include "text/stage_json.h"
#include "text/unicode.h"

namespace transom::text {
namespace {

constexpr unsigned long kRetries = 10'000'000;  // backtracking steps of one search before it is given up, and more for a long text
constexpr size_t kMaxPattern = 64 << 10, kMaxSpelledOut = 4 << 20;

const OnigUChar* bytes(const char* p) { return reinterpret_cast<const OnigUChar*>(p); }

class OnigRegex : public Regex {
 public:
  OnigRegex(std::string_view pattern, std::string_view context) {
    static std::once_flag once;
    std::call_once(once, [] {
      OnigEncoding utf8 = ONIG_ENCODING_UTF8;
      onig_initialize(&utf8, 1);
    });
    OnigErrorInfo info{};
    const int rc = onig_new(&regex_, bytes(pattern.data()), bytes(pattern.data() + pattern.size()),
                            ONIG_OPTION_NONE, ONIG_ENCODING_UTF8, OnigDefaultSyntax, &info);
    if (rc != ONIG_NORMAL) {
      std::array<OnigUChar, ONIG_MAX_ERROR_MESSAGE_LEN> message{};
      const int n = onig_error_code_to_str(message.data(), rc, &info);
      fail(Code::kCorrupt, context, "expected a regular expression, got {} ({})", quote(pattern, 80),
           std::string_view(reinterpret_cast<const char*>(message.data()), n));
    }
  }
  ~OnigRegex() override { onig_free(regex_); }
  OnigRegex(const OnigRegex&) = delete;
  OnigRegex& operator=(const OnigRegex&) = delete;

  std::optional<Match> search(std::string_view s, size_t from) const override {
    OnigRegion region{};
    const std::unique_ptr<OnigMatchParam, void (*)(OnigMatchParam*)> limits(onig_new_match_param(), onig_free_match_param);
    if (!limits) throw std::bad_alloc();
    onig_initialize_match_param(limits.get());
    onig_set_retry_limit_in_search_of_match_param(limits.get(), kRetries + 100 * s.size());
    const auto* begin = bytes(s.data());
    const auto* end = begin + s.size();
    const int rc = onig_search_with_param(regex_, begin, end, begin + from, end, &region, ONIG_OPTION_NONE, limits.get());
    std::optional<Match> found;
    if (rc >= 0) found = Match{static_cast<size_t>(region.beg[0]), static_cast<size_t>(region.end[0])};
    onig_region_free(&region, 0);
    if (rc < 0 && rc != ONIG_MISMATCH)
      fail(Code::kInvalidArgument, "tokenizer", "regular expression gave up on a text of {} bytes (Oniguruma error {})", s.size(), rc);
    return found;
  }

 private:
  regex_t* regex_ = nullptr;
};

class LiteralRegex : public Regex {
 public:
  explicit LiteralRegex(std::string_view needle) : needle_(needle) {}
  std::optional<Match> search(std::string_view s, size_t from) const override {
    const size_t at = s.find(needle_, from);
    if (at == std::string_view::npos) return std::nullopt;
    return Match{at, at + needle_.size()};
  }

 private:
  std::string needle_;
};

// Whether a code point has the property `name` ("L", "Lu", "Han", "w", "d"); nullopt when the name is not one of ours.
using Member = bool (*)(CharProps, std::string_view);
Member member_of(std::string_view name) {
  static constexpr std::array<std::string_view, kGcCount> kNames = {
      "Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps",
      "Pe", "Pi", "Pf", "Po", "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Co", "Cs"};
  if (name == "w") return [](CharProps p, std::string_view) { return p.onig_word(); };
  if (name == "d") return [](CharProps p, std::string_view) { return p.gc() == kNd; };
  if (name == "Han") return [](CharProps p, std::string_view) { return p.han(); };
  if (name.size() == 1 && std::string_view("LNMPS").find(name) != std::string_view::npos)
    return [](CharProps p, std::string_view n) { return kNames[p.gc()][0] == n[0]; };
  for (std::string_view n : kNames)
    if (n == name && n[0] != 'C') return [](CharProps p, std::string_view v) { return kNames[p.gc()] == v; };
  return nullptr;
}

// The first code points of all runs that share one record of properties, and the end of the last: some thousands.
const std::vector<char32_t>& property_runs() {
  static const std::vector<char32_t> runs = [] {
    const uint8_t* index = unicode_table().index;
    std::vector<char32_t> out{0};
    for (char32_t c = 1; c < 0x110000; ++c)
      if (index[c] != index[c - 1]) out.push_back(c);
    out.push_back(0x110000);
    return out;
  }();
  return runs;
}

std::string property_set(std::string_view name, bool negated, Member member) {
  const std::vector<char32_t>& runs = property_runs();
  std::string out = negated ? "[^" : "[";
  for (size_t i = 0; i + 1 < runs.size();) {
    const size_t first = i;
    while (i + 1 < runs.size() && member(props(runs[i]), name)) ++i;
    if (i == first) ++i;
    else out += fmt::format("\\x{{{:x}}}-\\x{{{:x}}}", static_cast<uint32_t>(runs[first]), static_cast<uint32_t>(runs[i] - 1));
  }
  return out + "]";
}

// The sets of one pattern: each is made once.
using Sets = std::map<std::pair<std::string, bool>, std::string>;
const std::string& set_of(Sets& sets, std::string_view name, bool negated, Member member) {
  std::string& set = sets[{std::string(name), negated}];
  if (set.empty()) set = property_set(name, negated, member);
  return set;
}

// \b and \B by looking at both sides for our own word characters.
std::string word_border(Sets& sets, bool negated) {
  const std::string& word = set_of(sets, "w", false, member_of("w"));
  return fmt::format("(?-i:(?<={0}){1}{0})|(?<!{0}){2}{0}))", word, negated ? "(?=" : "(?!", negated ? "(?!" : "(?=");
}

// A property escape (\p{L}, \P{^L}, \w, \D …): its bytes and what it names; no name for any other escape.
struct Escape {
  std::string_view name;
  size_t len = 2;
  bool negated = false;
};

Escape escape_at(std::string_view p, size_t i) {
  const char kind = p[i + 1];
  Escape e;
  e.negated = kind == 'P' || kind == 'W' || kind == 'D';
  if (kind == 'w' || kind == 'W') e.name = "w";
  if (kind == 'd' || kind == 'D') e.name = "d";
  if ((kind != 'p' && kind != 'P') || i + 2 >= p.size() || p[i + 2] != '{') return e;
  const size_t close = p.find('}', i);
  if (close == std::string_view::npos) return e;
  e.name = p.substr(i + 3, close - i - 3);
  e.len = close + 1 - i;
  if (e.name.starts_with("^")) e.name.remove_prefix(1), e.negated = !e.negated;
  return e;
}

// Rewrites the property escapes of a pattern as explicit sets. Where (?i) holds, a set in a class would fold its case
// and a property does not: those in a class are left alone there.
std::string spell_out_properties(std::string_view p, std::string_view context) {
  std::string out;
  Sets sets;
  std::vector<bool> groups;  // whether case was ignored around each open group
  bool ignores_case = false;
  int depth = 0;  // of nested character classes
  for (size_t i = 0; i < p.size();) {
    if (out.size() > kMaxSpelledOut)
      fail(Code::kUnsupported, context, "expected a regular expression with fewer properties and word borders, got {}", quote(p, 80));
    if (p[i] == '[') ++depth;
    if (p[i] == ']' && depth > 0) --depth;
    if (p[i] == '(' && depth == 0) {
      groups.push_back(ignores_case);
      const size_t end = p.substr(i, 2) == "(?" ? p.find_first_not_of("imx-", i + 2) : i;
      if (end > i && end < p.size() && (p[end] == ':' || p[end] == ')')) {
        const std::string_view flags = p.substr(i + 2, end - i - 2);
        if (flags.find('i') != std::string_view::npos) ignores_case = flags.find('i') < flags.find('-');
        if (p[end] == ')') {  // (?i): the rest of the group around it
          groups.pop_back();
          out += p.substr(i, end + 1 - i);
          i = end + 1;
          continue;
        }
      }
    } else if (p[i] == ')' && depth == 0 && !groups.empty()) {
      ignores_case = groups.back();
      groups.pop_back();
    }
    if (p[i] != '\\' || i + 1 >= p.size()) {
      out += p[i++];
      continue;
    }
    const Escape e = escape_at(p, i);
    const Member member = e.name.empty() || (ignores_case && depth > 0) ? nullptr : member_of(e.name);
    if ((p[i + 1] == 'b' || p[i + 1] == 'B') && depth == 0) {
      out += word_border(sets, p[i + 1] == 'B');
    } else if (member) {
      const std::string& set = set_of(sets, e.name, e.negated, member);
      out += ignores_case ? "(?-i:" + set + ")" : set;
    } else {
      out += p.substr(i, e.len);
    }
    i += e.len;
  }
  return out;
}

}  // namespace

std::shared_ptr<const Regex> Regex::compile_oniguruma(std::string_view pattern, std::string_view context) {
  if (pattern.size() > kMaxPattern)
    fail(Code::kUnsupported, context, "expected a regular expression of at most {} bytes, got {}", kMaxPattern, pattern.size());
  return std::make_shared<OnigRegex>(spell_out_properties(pattern, context), context);
}

std::shared_ptr<const Regex> Regex::compile(std::string_view pattern, std::string_view context) {
  if (auto fast = compile_pattern_matcher(pattern)) return fast;
  return compile_oniguruma(pattern, context);
}

std::shared_ptr<const Regex> Regex::literal(std::string_view needle) { return std::make_shared<LiteralRegex>(needle); }

std::shared_ptr<const Regex> pattern_of(const StageJson& stage) {
  const Json& p = stage.at("pattern");
  if (p.is_object() && p.size() == 1 && p.begin()->is_string()) {
    const auto text = p.begin()->get<std::string>();
    if (p.begin().key() == "String") return Regex::literal(text);
    if (p.begin().key() == "Regex") return Regex::compile(text, stage.where());
  }
  fail(Code::kCorrupt, stage.where(), "expected a pattern {{\"String\" or \"Regex\": …}} in {}, got {}", stage.type(), p.type_name());
}

std::optional<Match> MatchIterator::next() {
  while (at_ <= s_.size()) {
    const auto m = regex_.search(s_, at_);
    if (!m) {
      at_ = s_.size() + 1;
      return std::nullopt;
    }
    if (m->begin == m->end && last_end_ == m->end) {
      at_ += at_ < s_.size() ? utf8_len(s_[at_]) : 1;
      continue;
    }
    at_ = m->end;
    last_end_ = m->end;
    return m;
  }
  return std::nullopt;
}

}  // namespace transom::text
