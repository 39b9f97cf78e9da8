// str(), repr(), markupsafe.escape and equality: see repr.h.
#include "text/jinja/repr.h"

#include <fmt/format.h>

#include "text/jinja/number.h"
#include "text/jinja/unicode.h"

namespace transom::jinja {
namespace {

void write_repr(Env& env, std::string& out, const Value& v);

void write_items(Env& env, std::string& out, const std::vector<Value>& items) {
  for (size_t i = 0; i < items.size(); ++i) {
    if (i) out += ", ";
    write_repr(env, out, items[i]);
  }
}

void write_dict(Env& env, std::string& out, const Dict& d) {
  out += '{';
  for (size_t i = 0; i < d.entries.size(); ++i) {
    if (i) out += ", ";
    write_repr(env, out, d.entries[i].first);
    out += ": ";
    write_repr(env, out, d.entries[i].second);
  }
  out += '}';
}

void write_repr(Env& env, std::string& out, const Value& v) {
  env.work(0);
  env.check_size(out.size());
  switch (v.type()) {
    case Type::kMissing: return;
    case Type::kNone: out += "None"; return;
    case Type::kBool: out += v.small() ? "True" : "False"; return;
    case Type::kInt:
    case Type::kBigInt: out += int_text(v); return;
    case Type::kFloat: out += float_repr(v.real()); return;
    case Type::kUndefined: out += "Undefined"; return;
    case Type::kStr:
      env.work(v.text().size());
      out += v.str().markup ? "Markup(" + repr_string(v.text()) + ")" : repr_string(v.text());
      return;
    case Type::kList:
      out += '[';
      write_items(env, out, v.items());
      out += ']';
      return;
    case Type::kTuple:
      out += '(';
      write_items(env, out, v.items());
      out += v.items().size() == 1 ? ",)" : ")";
      return;
    case Type::kDict: write_dict(env, out, v.dict()); return;
    case Type::kObject: {
      const DepthGuard guard(env);
      out += v.object().repr(env);
      return;
    }
  }
}

void escape_char(std::string& out, char32_t c) {
  if (c == '\n') out += "\\n";
  else if (c == '\r') out += "\\r";
  else if (c == '\t') out += "\\t";
  else if (c < 0x100) out += fmt::format("\\x{:02x}", static_cast<uint32_t>(c));
  else if (c < 0x10000) out += fmt::format("\\u{:04x}", static_cast<uint32_t>(c));
  else out += fmt::format("\\U{:08x}", static_cast<uint32_t>(c));
}

bool equal_items(const std::vector<Value>& a, const std::vector<Value>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i)
    if (!a[i].same(b[i]) && !equal(a[i], b[i])) return false;
  return true;
}

}  // namespace

std::string repr_string(std::string_view s) {
  const char quote = s.find('\'') != std::string_view::npos && s.find('"') == std::string_view::npos ? '"' : '\'';
  std::string out(1, quote);
  out.reserve(s.size() + 2);
  for (size_t p = 0; p < s.size();) {
    const size_t begin = p;
    const char32_t c = next_char(s, p);
    if (c == static_cast<char32_t>(quote) || c == '\\') out += '\\', out += static_cast<char>(c);
    else if (c == 0x20 || is_printable(c)) out += s.substr(begin, p - begin);
    else escape_char(out, c);
  }
  return out += quote;
}

std::string repr(Env& env, const Value& v) {
  std::string out;
  write_repr(env, out, v);
  return out;
}

std::string to_str(Env& env, const Value& v) {
  if (v.is_str()) return v.text();
  if (v.is_undefined()) return "";
  return repr(env, v);
}

std::string escape_html(std::string_view s) {
  std::string out;
  out.reserve(s.size());
  for (char c : s) {
    switch (c) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '\'': out += "&#39;"; break;
      case '"': out += "&#34;"; break;
      default: out += c;
    }
  }
  return out;
}

std::string escaped(Env& env, const Value& v) {
  if (v.is_str() && v.str().markup) return v.text();
  return escape_html(to_str(env, v));
}

bool equal(const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return compare_numbers(a, b) == 0;
  if (a.is_str() && b.is_str()) return a.text() == b.text();
  if (a.type() != b.type()) return false;
  switch (a.type()) {
    case Type::kNone:
    case Type::kUndefined: return true;
    case Type::kList:
    case Type::kTuple: return equal_items(a.items(), b.items());
    case Type::kDict: {
      if (a.dict().entries.size() != b.dict().entries.size()) return false;
      for (const auto& [k, v] : a.dict().entries) {
        const Value* other = b.dict().find(k);
        if (!other || (!other->same(v) && !equal(v, *other))) return false;
      }
      return true;
    }
    default: return a.same(b);
  }
}

}  // namespace transom::jinja
