// str's methods, and the parts of them that filters use too.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/objects.h"

namespace transom::jinja {

Native find_str_method(std::string_view name);       // all of them; null when there is no such one
Native find_str_case_method(std::string_view name);  // str_case_methods.cc: those of case, classes and padding
Native find_str_format_method(std::string_view name);

// str.strip(chars) and its halves; `chars` is None or a str.
Value strip_value(Env& env, const Value& s, const Value& chars, bool left, bool right);
std::vector<std::string> split_lines(std::string_view s, bool keep_ends);
// str.replace; a negative count replaces all.
std::string replace_text(Env& env, std::string_view s, std::string_view old, std::string_view with, int64_t count);
// str.center(width, fill) as CPython rounds it.
std::string center_text(Env& env, const Str& s, int64_t width, std::string_view fill);

}  // namespace transom::jinja
