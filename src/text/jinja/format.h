// String formatting: the % operator, str.format and the format-spec mini-language.
#pragma once

#include <string>
#include <string_view>

#include "text/jinja/env.h"

namespace transom::jinja {

// format % args (Objects/unicodeobject.c's unicode_format, restated); on Markup the arguments are escaped.
Value percent_format(Env& env, const Value& format, const Value& args);
// str.format(*positional, **named); field access obeys the sandbox.
Value str_format(Env& env, const Value& self, Args& args);
// format(value, spec) (Python/formatter_unicode.c, restated).
std::string format_value(Env& env, const Value& v, std::string_view spec);

// A finite or non-finite double as C's printf writes it with the flags given, `precision` digits and type e, f or g.
std::string print_double(Env& env, double f, char type, int64_t precision, bool alternate);
std::string ascii_repr(Env& env, const Value& v);

}  // namespace transom::jinja
