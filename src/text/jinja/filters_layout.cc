// Filters that lay text out or mark it up: wordwrap (Python's Lib/textwrap.py, restated), urlize, urlencode, xmlattr.
#include <algorithm>
#include <set>

#include "text/jinja/args.h"
#include "text/jinja/builtins.h"
#include "text/jinja/markup.h"
#include "text/jinja/ops.h"
#include "text/jinja/repr.h"
#include "text/jinja/str_methods.h"
#include "text/jinja/unicode.h"

namespace transom::jinja {
namespace {

using Chars = std::u32string;

bool wrap_space(char32_t c) { return c == ' ' || (c >= 9 && c <= 13); }
bool letter(char32_t c) { return is_word(c) && !is_decimal(c); }
bool word_punctuation(char32_t c) { return is_word(c) || Chars(U"!\"'&.,?").find(c) != Chars::npos; }

// Whether two or more dashes and then a word character stand at `at`; `end` is set to where the dashes end.
bool em_dash(const Chars& s, size_t at, size_t& end) {
  end = at;
  while (end < s.size() && s[end] == '-') ++end;
  return end - at >= 2 && end < s.size() && is_word(s[end]);
}

// Whether a hyphen at `j` may end a piece: letters enough on both sides of it.
bool breaks_at_hyphen(const Chars& s, size_t j) {
  if (s[j] != '-') return false;
  const bool two = j >= 2 && letter(s[j - 1]) && letter(s[j - 2]);
  const bool chain = j >= 3 && letter(s[j - 1]) && s[j - 2] == '-' && letter(s[j - 3]);
  if (!two && !chain) return false;
  size_t next = j + 1;
  if (next >= s.size() || !letter(s[next++])) return false;
  if (next < s.size() && s[next] == '-') ++next;
  return next < s.size() && letter(s[next]);
}

size_t piece_end(const Chars& s, size_t i, bool hyphens) {
  size_t j = i + 1, dashes = 0;
  if (wrap_space(s[i])) {
    while (j < s.size() && wrap_space(s[j])) ++j;
    return j;
  }
  if (hyphens && i > 0 && word_punctuation(s[i - 1]) && em_dash(s, i, dashes)) return dashes;
  for (; j < s.size(); ++j) {
    if (hyphens && breaks_at_hyphen(s, j)) return j + 1;
    if (wrap_space(s[j])) return j;
    if (hyphens && word_punctuation(s[j - 1]) && s[j] == '-' && em_dash(s, j, dashes)) return j;
  }
  return j;
}

bool blank(const Chars& s) { return std::all_of(s.begin(), s.end(), is_space); }

struct WrapOptions {
  size_t width;
  bool break_words, break_hyphens;
};

// Puts as much of a piece longer than the line as fits (perhaps nothing, which counts as a piece too).
void split_long(std::vector<Chars>& pieces, Chars& line, Chars& last, size_t& count, const WrapOptions& o) {
  const size_t room = o.width - line.size();
  Chars& piece = pieces.back();
  if (o.break_words) {
    size_t end = room;
    if (o.break_hyphens && piece.size() > room && room > 0) {
      const size_t hyphen = piece.rfind(U'-', room - 1);
      if (hyphen != Chars::npos && hyphen > 0 && piece.substr(0, hyphen).find_first_not_of(U'-') != Chars::npos) end = hyphen + 1;
    }
    last = piece.substr(0, end);
    line += last;
    ++count;
    piece = piece.substr(std::min(end, piece.size()));
  } else if (count == 0) {
    last = piece;
    line += last;
    ++count;
    pieces.pop_back();
  }
}

std::vector<Chars> wrap(Env& env, const Chars& text, const WrapOptions& o) {
  std::vector<Chars> pieces, lines;
  for (size_t i = 0; i < text.size();) {
    const size_t end = piece_end(text, i, o.break_hyphens);
    pieces.push_back(text.substr(i, end - i));
    i = end;
  }
  std::reverse(pieces.begin(), pieces.end());
  while (!pieces.empty()) {
    env.step();
    Chars line;
    size_t count = 0;
    Chars last;
    if (blank(pieces.back()) && !lines.empty()) pieces.pop_back();
    while (!pieces.empty() && line.size() + pieces.back().size() <= o.width) {
      last = pieces.back();
      line += last;
      ++count;
      pieces.pop_back();
    }
    if (!pieces.empty() && pieces.back().size() > o.width) split_long(pieces, line, last, count, o);
    if (count > 0 && blank(last)) line.resize(line.size() - last.size()), --count;
    if (count > 0) lines.push_back(line);
  }
  return lines;
}

Value do_wordwrap(Env& env, Args& args) {
  const Bound b = bind(args, "do_wordwrap", {"s", "width", "break_long_words", "wrapstring", "break_on_hyphens"}, 1);
  if (b[0].is_undefined()) b[0].undefined().fail();
  if (!b[0].is_str()) raise(Exc::kAttribute, "'" + type_name(b[0]) + "' object has no attribute 'splitlines'");
  if (b[0].text().empty()) return b[0];
  const int64_t width = int_arg(b, 1, 79);
  const std::string joint = b.has(3) && !b[3].is_none() ? str_arg(b[3], "wordwrap") : "\n";
  if (width <= 0) raise(Exc::kValue, "invalid width " + std::to_string(width) + " (must be > 0)");
  const WrapOptions o{static_cast<size_t>(std::min<int64_t>(std::max<int64_t>(width, 1), 1 << 30)), bool_arg(env, b, 2, true), bool_arg(env, b, 4, true)};
  std::string out;
  env.work(b[0].text().size() * 8);
  bool first = true;
  for (const std::string& line : split_lines(b[0].text(), false)) {
    if (!first) out += joint;
    first = false;
    const std::vector<Chars> lines = wrap(env, to_chars32(line), o);
    for (size_t i = 0; i < lines.size(); ++i) out += (i ? joint : "") + from_chars32(lines[i]);
    env.check_size(out.size());
  }
  return env.str(std::move(out));
}

Value do_urlencode(Env& env, Args& args) {
  const Bound b = bind(args, "do_urlencode", {"value"}, 1);
  const Value it = b[0].is_str() ? Value() : try_iterate(env, b[0]);
  if (it.is_missing()) return env.str(url_quote(to_str(env, b[0]), false));
  std::string out;
  const auto pair = [&](const Value& k, const Value& v) {
    if (!out.empty()) out += '&';
    out += url_quote(to_str(env, k), true) + "=" + url_quote(to_str(env, v), true);
    env.check_size(out.size());
  };
  if (b[0].is(Type::kDict)) {
    for (const auto& [k, v] : b[0].dict().entries) pair(k, v);
    return env.str(std::move(out));
  }
  Value v;
  while (next(env, it, v)) {
    const std::vector<Value> kv = to_vector(env, v);
    if (kv.size() != 2) raise(Exc::kValue, "not enough or too many values to unpack (expected 2)");
    pair(kv[0], kv[1]);
  }
  return env.str(std::move(out));
}

Value do_xmlattr(Env& env, Args& args) {
  const Bound b = bind(args, "do_xmlattr", {"d", "autospace"}, 1);
  if (b[0].is_undefined()) b[0].undefined().fail();
  if (!b[0].is(Type::kDict)) raise(Exc::kAttribute, "'" + type_name(b[0]) + "' object has no attribute 'items'");
  std::string out;
  for (const auto& [k, v] : b[0].dict().entries) {
    if (v.is_none() || v.is_undefined()) continue;
    if (!k.is_str()) raise(Exc::kType, "expected string or bytes-like object, got '" + type_name(k) + "'");
    if (k.text().find_first_of(" \t\n\r\f\v/>=") != std::string::npos)
      raise(Exc::kValue, "Invalid character in attribute name: " + repr_string(k.text()));
    if (!out.empty()) out += ' ';
    out += escaped(env, k) + "=\"" + escaped(env, v) + "\"";
  }
  if (bool_arg(env, b, 1, true) && !out.empty()) out.insert(0, 1, ' ');
  return env.str(std::move(out), env.autoescape);
}

Value do_urlize(Env& env, Args& args) {
  const Bound b = bind(args, "do_urlize", {"value", "trim_url_limit", "nofollow", "target", "rel", "extra_schemes"}, 1);
  LinkOptions o;
  if (b.has(1) && !b[1].is_none()) o.trim = [&] { return index_arg(b[1]); };  // looked at when there is a link
  std::set<std::string> rel{"noopener"};
  if (bool_arg(env, b, 2, false)) rel.insert("nofollow");
  if (b.has(4) && truthy(env, b[4])) {
    std::string_view s = str_arg(b[4], "urlize");
    while (!(s = strip(s, true, true)).empty()) {
      const size_t end = std::min(s.find_first_of(" \t\n\r\f\v"), s.size());
      rel.insert(std::string(s.substr(0, end)));
      s = s.substr(end);
    }
  }
  for (const std::string& r : rel) o.rel += (o.rel.empty() ? "" : " ") + r;
  if (b.has(3) && truthy(env, b[3])) o.target = to_str(env, b[3]);
  if (b.has(5) && !b[5].is_none())
    for (const Value& v : to_vector(env, b[5])) {
      const std::string& scheme = str_arg(v, "urlize");
      const size_t colon = scheme.find(':');
      if (colon == std::string::npos || count_chars(std::string_view(scheme).substr(0, colon)) < 2 ||
          (scheme.substr(colon) != ":" && scheme.substr(colon) != ":/" && scheme.substr(colon) != "://"))
        raise(Exc::kRuntime, repr_string(scheme) + " is not a valid URI scheme prefix.");
      o.extra_schemes.push_back(scheme);
    }
  const std::string text = escaped(env, b[0]);
  env.work(text.size() * 16);
  return env.str(link_urls(text, o), env.autoescape);
}

}  // namespace

Filter find_layout_filter(std::string_view name) {
  if (name == "wordwrap") return do_wordwrap;
  if (name == "urlencode") return do_urlencode;
  if (name == "urlize") return do_urlize;
  if (name == "xmlattr") return do_xmlattr;
  return nullptr;
}

}  // namespace transom::jinja
