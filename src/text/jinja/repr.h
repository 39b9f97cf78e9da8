// Text of values: str(), repr(), json.dumps(); and equality, which needs no state.
#pragma once

#include <string>
#include <string_view>

#include "text/jinja/env.h"

namespace transom::jinja {

std::string repr_string(std::string_view s);       // with Python's choice of quotes
std::string repr(Env& env, const Value& v);
std::string to_str(Env& env, const Value& v);       // str(v); escapes nothing
std::string escape_html(std::string_view s);        // markupsafe.escape of plain text
// markupsafe.escape(v): the text of Markup as it is, of anything else escaped.
std::string escaped(Env& env, const Value& v);

// v == w. Does not raise.
bool equal(const Value& a, const Value& b);

struct JsonStyle {
  bool ensure_ascii = false;
  bool sort_keys = false;
  bool pretty = false;
  std::string indent;                                     // a level's, when pretty
  std::string item_separator = ", ", key_separator = ": ";
};
std::string json_dumps(Env& env, const Value& v, const JsonStyle& style);  // raises kType for what JSON has no form for

}  // namespace transom::jinja
