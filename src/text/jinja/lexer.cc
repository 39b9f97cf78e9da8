// The lexer: see lexer.h.
#include "text/jinja/lexer.h"

#include <algorithm>

#include "text/jinja/number.h"
#include "text/jinja/unicode.h"

namespace transom::jinja {
namespace {

std::string normalize_newlines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] != '\r') {
      out += source[i];
      continue;
    }
    out += '\n';
    if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

[[noreturn]] void syntax(int line, std::string message) { throw PyError{Exc::kSyntax, std::move(message), line}; }

// The text of a string literal without its quotes, unescaped as Python's unicode-escape codec does it after non-ASCII
// characters were written as escapes.
std::string unescape(std::string_view s, int line) {
  std::string out;
  const auto hex = [&](size_t at, size_t n) {
    uint32_t v = 0;
    for (size_t i = 0; i < n; ++i) {
      const char c = at + i < s.size() ? s[at + i] : 'z';
      const char l = static_cast<char>(c | 0x20);
      if (!((c >= '0' && c <= '9') || (l >= 'a' && l <= 'f'))) syntax(line, "truncated escape in a string");
      v = v * 16 + static_cast<uint32_t>(c <= '9' ? c - '0' : l - 'a' + 10);
    }
    if (v > 0x10ffff) syntax(line, "illegal Unicode character in a string");
    append_char(out, v);
    return at + n;
  };
  for (size_t i = 0; i < s.size();) {
    if (s[i] != '\\' || i + 1 >= s.size()) {
      out += s[i++];
      continue;
    }
    const char c = s[i + 1];
    i += 2;
    constexpr std::string_view kFrom = "\\'\"abfnrtv", kTo = "\\'\"\a\b\f\n\r\t\v";
    if (const size_t k = kFrom.find(c); k != std::string_view::npos) {
      out += kTo[k];
    } else if (c == '\n') {
    } else if (c >= '0' && c <= '7') {
      uint32_t v = 0;
      --i;
      for (int n = 0; n < 3 && i < s.size() && s[i] >= '0' && s[i] <= '7'; ++n, ++i) v = v * 8 + static_cast<uint32_t>(s[i] - '0');
      append_char(out, v);
    } else if (c == 'x' || c == 'u' || c == 'U') {
      i = hex(i, c == 'x' ? 2 : c == 'u' ? 4 : 8);
    } else if (c == 'N') {
      syntax(line, "expected no \\N{…} escape in a string: named characters are not supported");
    } else if (static_cast<unsigned char>(c) >= 0x80) {
      // the codec sees a backslash before an escape of its own making: both stay as text
      --i;
      const char32_t u = next_char(s, i);
      char buffer[16];
      std::snprintf(buffer, sizeof buffer, u < 0x100 ? "\\x%02x" : u < 0x10000 ? "\\u%04x" : "\\U%08x", static_cast<unsigned>(u));
      out += buffer;
    } else {
      out += '\\', out += c;
    }
  }
  return out;
}

class Lexer {
 public:
  explicit Lexer(std::string source) : s_(std::move(source)) {}

  std::vector<Token> run() {
    while (pos_ < s_.size()) root();
    emit(Tok::kEof, "");
    return std::move(tokens_);
  }

 private:
  void emit(Tok type, std::string text) { tokens_.push_back({type, line_, std::move(text)}); }
  bool at(std::string_view what, size_t pos) const { return std::string_view(s_).substr(pos, what.size()) == what; }
  size_t skip_space(size_t pos) const {
    while (pos < s_.size()) {
      size_t p = pos;
      if (!is_space(next_char(s_, p))) break;
      pos = p;
    }
    return pos;
  }
  // Moves to `end`, counting lines.
  void advance(size_t end) {
    line_ += static_cast<int>(std::count(s_.begin() + static_cast<std::ptrdiff_t>(pos_), s_.begin() + static_cast<std::ptrdiff_t>(end), '\n'));
    if (end > pos_) line_starting_ = s_[end - 1] == '\n';
    pos_ = end;
  }

  // If a raw block starts at `pos` ("{%" stands there), the position after its opening tag.
  size_t raw_begin(size_t pos) const {
    size_t p = pos + 2;
    if (p < s_.size() && (s_[p] == '-' || s_[p] == '+')) ++p;
    p = skip_space(p);
    if (!at("raw", p)) return 0;
    p = skip_space(p + 3);
    if (at("-%}", p)) return skip_space(p + 3);
    return at("%}", p) ? p + 2 : 0;
  }

  // Data before a tag: "-" strips it, and lstrip_blocks strips the blanks of its last line unless "+" forbids.
  void data(size_t tag, char sign, bool variable) {
    std::string_view text = std::string_view(s_).substr(pos_, tag - pos_);
    const bool whole_line = text.find('\n') != std::string_view::npos || line_starting_;
    if (sign == '-') {
      text = strip(text, false, true);
    } else if (sign != '+' && !variable && whole_line) {
      const size_t line = text.rfind('\n') + 1;  // npos + 1 is 0
      if (strip(text.substr(line)).empty()) text = text.substr(0, line);
    }
    if (!text.empty()) emit(Tok::kData, std::string(text));
    const bool was_starting = line_starting_;
    advance(tag);
    line_starting_ = was_starting;  // decided by the tag's own end
  }

  void root() {
    size_t tag = pos_;
    for (;; ++tag) {
      tag = s_.find('{', tag);
      if (tag == std::string::npos || tag + 1 >= s_.size()) {
        emit(Tok::kData, s_.substr(pos_));
        advance(s_.size());
        return;
      }
      const char c = s_[tag + 1];
      if (c == '%' || c == '{' || c == '#') break;
    }
    const char kind = s_[tag + 1];
    const char next = tag + 2 < s_.size() ? s_[tag + 2] : '\0';
    const char sign = next == '-' || next == '+' ? next : '\0';
    data(tag, sign, kind == '{');
    const size_t raw = kind == '%' ? raw_begin(tag) : 0;
    const size_t begin = raw ? raw : tag + 2 + (sign ? 1 : 0);
    const int line = line_;
    advance(begin);
    if (raw) return raw_block();
    if (kind == '#') return comment();
    tokens_.push_back({kind == '%' ? Tok::kBlockBegin : Tok::kVariableBegin, line, ""});
    code(kind == '%');
  }

  // The end of a block-like tag at `pos` ("-%}" and following white space, "+%}", "%}" and one line break), or 0.
  size_t tag_end(size_t pos, std::string_view close) const {
    if (s_[pos] == '+' && at(close, pos + 1)) return pos + 3;
    if (s_[pos] == '-' && at(close, pos + 1)) return skip_space(pos + 3);
    if (!at(close, pos)) return 0;
    return pos + 2 < s_.size() && s_[pos + 2] == '\n' ? pos + 3 : pos + 2;
  }

  void comment() {
    if (pos_ >= s_.size()) return;
    const int line = line_;
    size_t close = s_.find("#}", pos_);
    if (close == std::string::npos) syntax(line, "Missing end of comment tag");
    if (close > pos_ && (s_[close - 1] == '-' || s_[close - 1] == '+')) --close;
    advance(tag_end(close, "#}"));
  }

  void raw_block() {
    if (pos_ >= s_.size()) return;
    const int line = line_;
    for (size_t tag = s_.find("{%", pos_); tag != std::string::npos; tag = s_.find("{%", tag + 1)) {
      size_t p = tag + 2;
      const char sign = p < s_.size() && (s_[p] == '-' || s_[p] == '+') ? s_[p] : '\0';
      p = skip_space(p + (sign ? 1 : 0));
      if (!at("endraw", p)) continue;
      p = skip_space(p + 6);
      const size_t end = p < s_.size() ? tag_end(p, "%}") : 0;
      if (!end) continue;
      data(tag, sign, false);
      advance(end);
      return;
    }
    syntax(line, "Missing end of raw directive");
  }

  // Tokens up to the end of a block or variable tag.
  void code(bool block) {
    std::string open;  // closing brackets awaited
    while (pos_ < s_.size()) {
      if (open.empty()) {
        size_t end = 0;
        if (block) end = tag_end(pos_, "%}");
        else if (at("}}", pos_)) end = pos_ + 2;
        else if (at("-}}", pos_)) end = skip_space(pos_ + 3);
        if (end) {
          emit(block ? Tok::kBlockEnd : Tok::kVariableEnd, "");
          advance(end);
          return;
        }
      }
      const size_t space = skip_space(pos_);
      if (space > pos_) advance(space);
      else if (!number() && !name() && !string()) operation(open);
    }
  }

  size_t digits(size_t p, const char* set) const {
    const std::string_view allowed(set);
    const auto is = [&](size_t i) { return i < s_.size() && allowed.find(s_[i]) != std::string_view::npos; };
    while (is(p) || (p < s_.size() && s_[p] == '_' && is(p + 1))) ++p;
    return p;
  }

  bool number() {
    const auto digit = [&](size_t i) { return i < s_.size() && s_[i] >= '0' && s_[i] <= '9'; };
    if (!digit(pos_)) return false;
    constexpr const char* kDecimal = "0123456789";
    const size_t whole = digits(pos_, kDecimal);
    if (pos_ == 0 || s_[pos_ - 1] != '.') {
      size_t end = whole;
      if (end < s_.size() && s_[end] == '.' && digit(end + 1)) end = digits(end + 1, kDecimal);
      if (end < s_.size() && (s_[end] | 0x20) == 'e') {
        const size_t sign = end + 1 < s_.size() && (s_[end + 1] == '+' || s_[end + 1] == '-') ? 1 : 0;
        if (digit(end + 1 + sign)) end = digits(end + 1 + sign, kDecimal);
      }
      if (end != whole) return put_number(Tok::kFloat, end);
    }
    if (s_[pos_] != '0') return put_number(Tok::kInteger, whole);
    const char radix = pos_ + 1 < s_.size() ? static_cast<char>(s_[pos_ + 1] | 0x20) : '\0';
    const char* set = radix == 'b' ? "01" : radix == 'o' ? "01234567" : radix == 'x' ? "0123456789abcdefABCDEF" : nullptr;
    if (set) {
      const size_t end = digits(pos_ + 2, set);
      if (end > pos_ + 2) return put_number(Tok::kInteger, end);
    }
    return put_number(Tok::kInteger, digits(pos_, "0"));
  }

  bool put_number(Tok type, size_t end) {
    std::string text = s_.substr(pos_, end - pos_);
    std::erase(text, '_');
    emit(type, std::move(text));
    advance(end);
    return true;
  }

  bool name() {
    size_t end = pos_;
    while (end < s_.size()) {
      size_t p = end;
      const char32_t c = next_char(s_, p);
      if (!is_word(c) && !is_id_continue(c)) break;
      end = p;
    }
    if (end == pos_) return false;
    std::string text = s_.substr(pos_, end - pos_);
    if (!is_identifier(text)) syntax(line_, "Invalid character in identifier");
    emit(Tok::kName, std::move(text));
    advance(end);
    return true;
  }

  bool string() {
    const char quote = s_[pos_];
    if (quote != '\'' && quote != '"') return false;
    size_t p = pos_ + 1;
    while (p < s_.size() && s_[p] != quote) p += s_[p] == '\\' ? 2 : 1;
    if (p >= s_.size()) return false;
    emit(Tok::kString, unescape(std::string_view(s_).substr(pos_ + 1, p - pos_ - 1), line_));
    advance(p + 1);
    return true;
  }

  void operation(std::string& open) {
    constexpr std::string_view kDouble[] = {"//", "**", "==", "!=", ">=", "<="};
    size_t size = 1;
    for (const auto op : kDouble)
      if (at(op, pos_)) size = 2;
    const char c = s_[pos_];
    if (size == 1 && std::string_view("+-/*%~[](){}><=.:|,;").find(c) == std::string_view::npos) {
      size_t p = pos_;
      const char32_t u = next_char(s_, p);
      syntax(line_, "unexpected char '" + char_string(u) + "' at " + std::to_string(count_chars(std::string_view(s_).substr(0, pos_))));
    }
    if (size == 1) {
      if (c == '{') open += '}';
      else if (c == '(') open += ')';
      else if (c == '[') open += ']';
      else if (c == '}' || c == ')' || c == ']') {
        if (open.empty()) syntax(line_, std::string("unexpected '") + c + "'");
        if (open.back() != c) syntax(line_, std::string("unexpected '") + c + "', expected '" + open.back() + "'");
        open.pop_back();
      }
    }
    emit(Tok::kOperator, s_.substr(pos_, size));
    advance(pos_ + size);
  }

  std::string s_;
  size_t pos_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(std::string_view source) { return Lexer(normalize_newlines(source)).run(); }

}  // namespace transom::jinja
