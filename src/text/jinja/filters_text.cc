// Filters on text (jinja2/filters.py, restated).
#include <algorithm>

#include "text/jinja/args.h"
#include "text/jinja/builtins.h"
#include "text/jinja/format.h"
#include "text/jinja/markup.h"
#include "text/jinja/ops.h"
#include "text/jinja/repr.h"
#include "text/jinja/str_methods.h"
#include "text/jinja/unicode.h"

namespace transom::jinja {
namespace {

// markupsafe.soft_str: strings stay what they are, anything else becomes its text.
Value soft_str(Env& env, const Value& v) { return v.is_str() ? v : env.str(to_str(env, v)); }

template <std::string (*F)(std::string_view)>
Value mapped(Env& env, Args& args) {
  const Bound b = bind(args, "filter", {"s"}, 1);
  const Value s = soft_str(env, b[0]);
  env.work(s.text().size() * 2);
  return env.str(F(s.text()), s.str().markup);
}

Value do_title(Env& env, Args& args) {
  const Bound b = bind(args, "do_title", {"s"}, 1);
  const Value s = soft_str(env, b[0]);
  env.work(s.text().size() * 2);
  const std::string& text = s.text();
  std::string out;
  const auto separates = [](char32_t c) { return is_space(c) || (c < 0x80 && std::string_view("-({[<").find(static_cast<char>(c)) != std::string_view::npos); };
  for (size_t p = 0; p < text.size();) {
    // a run of separators or of other characters; its first character upper, the rest lower
    const size_t begin = p;
    const bool kind = separates(next_char(text, p));
    const size_t first_end = p;
    for (size_t q = p; p < text.size() && separates(next_char(text, q)) == kind;) p = q;
    out += upper(std::string_view(text).substr(begin, first_end - begin));
    out += lower(std::string_view(text).substr(first_end, p - first_end));
  }
  return env.str(std::move(out));
}

Value do_trim(Env& env, Args& args) {
  const Bound b = bind(args, "do_trim", {"value", "chars"}, 1);
  if (b.has(1) && !b[1].is_none() && !b[1].is_str()) raise(Exc::kType, "strip arg must be None or str");
  return strip_value(env, soft_str(env, b[0]), b.get(1, Value::none()), true, true);
}

Value do_string(Env& env, Args& args) { return soft_str(env, bind(args, "soft_str", {"s"}, 1)[0]); }

Value do_safe(Env& env, Args& args) { return env.markup(to_str(env, bind(args, "do_mark_safe", {"value"}, 1)[0])); }

Value do_escape(Env& env, Args& args) { return env.markup(escaped(env, bind(args, "escape", {"s"}, 1)[0])); }

Value do_forceescape(Env& env, Args& args) {
  return env.markup(escape_html(to_str(env, bind(args, "do_forceescape", {"value"}, 1)[0])));
}

Value do_replace(Env& env, Args& args) {
  const Bound b = bind(args, "do_replace", {"s", "old", "new", "count"}, 3);
  const int64_t count = b.has(3) && !b[3].is_none() ? index_arg(b[3]) : -1;
  if (!env.autoescape) return env.str(replace_text(env, to_str(env, b[0]), to_str(env, b[1]), to_str(env, b[2]), count));
  const auto is_markup = [](const Value& v) { return v.is_str() && v.str().markup; };
  Value s = soft_str(env, b[0]);
  if (is_markup(b[1]) || (is_markup(b[2]) && !is_markup(b[0]))) s = env.markup(escaped(env, b[0]));
  const std::string with = s.str().markup ? escaped(env, b[2]) : to_str(env, b[2]);
  return env.str(replace_text(env, s.text(), to_str(env, b[1]), with, count), s.str().markup);
}

Value do_center(Env& env, Args& args) {
  const Bound b = bind(args, "do_center", {"value", "width"}, 1);
  const Value s = soft_str(env, b[0]);
  return env.str(center_text(env, s.str(), int_arg(b, 1, 80), " "), s.str().markup);
}

Value do_format(Env& env, Args& args) {
  if (args.positional.empty()) raise(Exc::kType, "do_format() missing required argument: 'value'");
  const Value format = soft_str(env, args.positional[0]);
  std::vector<Value> rest(args.positional.begin() + 1, args.positional.end());
  if (!rest.empty() && !args.named.empty()) raise(Exc::kRuntime, "can't handle positional and keyword arguments at the same time");
  if (args.named.empty()) return percent_format(env, format, env.tuple(std::move(rest)));
  DictMaker m(env);
  for (auto& [k, v] : args.named) m.set(k, v);
  return percent_format(env, format, m.take());
}

Value do_indent(Env& env, Args& args) {
  const Bound b = bind(args, "do_indent", {"s", "width", "first", "blank"}, 1);
  if (b[0].is_undefined()) b[0].undefined().fail();
  if (!b[0].is_str()) raise(Exc::kType, "unsupported operand type(s) for +=: '" + type_name(b[0]) + "' and 'str'");
  std::string indent = "    ";
  if (b.has(1) && b[1].is_str()) indent = b[1].text();
  else if (b.has(1)) indent = binary(env, Arith::kMul, env.str(" "), b[1]).text();
  const bool first = bool_arg(env, b, 2, false), blank = bool_arg(env, b, 3, false);
  const std::vector<std::string> lines = split_lines(b[0].text() + "\n", false);
  std::string out;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (i) out += '\n';
    if (i == 0 ? first : blank || !lines[i].empty()) out += indent;
    out += lines[i];
    env.check_size(out.size());
  }
  env.work(out.size());
  return env.str(std::move(out), b[0].str().markup);
}

Value do_truncate(Env& env, Args& args) {
  const Bound b = bind(args, "do_truncate", {"s", "length", "killwords", "end", "leeway"}, 1);
  const Value end = b.get(3, env.str("..."));
  constexpr int64_t kFar = int64_t{1} << 60;
  const int64_t size = std::clamp(int_arg(b, 1, 255), -kFar, kFar), end_size = length(env, end);
  const int64_t leeway = b.has(4) && !b[4].is_none() ? std::clamp(index_arg(b[4]), -kFar, kFar) : 5;
  if (size < end_size) raise(Exc::kAssertion, "expected length >= " + std::to_string(end_size) + ", got " + std::to_string(size));
  if (leeway < 0) raise(Exc::kAssertion, "expected leeway >= 0, got " + std::to_string(leeway));
  if (length(env, b[0]) <= size + leeway) return b[0];
  Value cut = slice(env, b[0], Value(), Value::integer(size - end_size), Value());
  if (!bool_arg(env, b, 2, false)) {
    if (!cut.is_str()) raise(Exc::kAttribute, "'" + type_name(cut) + "' object has no attribute 'rsplit'");
    const size_t space = cut.text().rfind(' ');
    cut = env.str(cut.text().substr(0, space), cut.str().markup);
  }
  return binary(env, Arith::kAdd, cut, end);
}

Value do_wordcount(Env& env, Args& args) {
  const Value s = soft_str(env, bind(args, "do_wordcount", {"s"}, 1)[0]);
  env.work(s.text().size());
  int64_t n = 0;
  bool inside = false;
  for (size_t p = 0; p < s.text().size();) {
    const bool word = is_word(next_char(s.text(), p));
    n += word && !inside;
    inside = word;
  }
  return Value::integer(n);
}

Value do_striptags(Env& env, Args& args) {
  const Bound b = bind(args, "do_striptags", {"value"}, 1);
  return env.str(strip_tags(to_str(env, b[0])));
}

Value do_filesizeformat(Env& env, Args& args) {
  const Bound b = bind(args, "do_filesizeformat", {"value", "binary"}, 1);
  if (b[0].is_undefined()) b[0].undefined().fail();
  if (!b[0].is_str() && !b[0].is_number()) raise(Exc::kType, "float() argument must be a string or a real number");
  const double bytes = b[0].is_str() ? parse_float(b[0].text()) : to_double(b[0]);
  const bool powers_of_two = bool_arg(env, b, 1, false);
  const double base = powers_of_two ? 1024 : 1000;
  if (bytes == 1) return env.str("1 Byte");
  if (bytes < base) return env.str(int_text(double_to_int(env, bytes)) + " Bytes");
  constexpr const char* kPrefixes = "kMGTPEZY";
  double unit = base;
  for (int i = 0; i < 8; ++i) {
    unit *= base;
    if (bytes >= unit && i < 7) continue;
    std::string prefix(1, kPrefixes[i]);
    if (powers_of_two && i == 0) prefix = "K";
    return env.str(print_double(env, base * bytes / unit, 'f', 1, false) + " " + prefix + (powers_of_two ? "iB" : "B"));
  }
  return {};
}

constexpr std::pair<std::string_view, Filter> kFilters[] = {
    {"capitalize", mapped<capitalize>}, {"center", do_center}, {"e", do_escape}, {"escape", do_escape},
    {"filesizeformat", do_filesizeformat}, {"forceescape", do_forceescape}, {"format", do_format}, {"indent", do_indent},
    {"lower", mapped<lower>}, {"replace", do_replace}, {"safe", do_safe}, {"string", do_string}, {"striptags", do_striptags},
    {"title", do_title}, {"trim", do_trim}, {"truncate", do_truncate}, {"upper", mapped<upper>}, {"wordcount", do_wordcount},
};

}  // namespace

Filter find_text_filter(std::string_view name) {
  for (const auto& [n, f] : kFilters)
    if (n == name) return f;
  return nullptr;
}

}  // namespace transom::jinja
