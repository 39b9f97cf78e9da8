// Binding of call arguments to parameter names, with Python's errors.
#pragma once

#include <array>
#include <initializer_list>
#include <string_view>

#include "text/jinja/env.h"

namespace transom::jinja {

struct Bound {
  std::array<Value, 8> values;
  const Value& operator[](size_t i) const { return values[i]; }
  bool has(size_t i) const { return !values[i].is_missing(); }
  // The argument, or a default when it was not given.
  Value get(size_t i, Value otherwise) const { return has(i) ? values[i] : std::move(otherwise); }
};

enum class Keywords : bool { kRefused, kAllowed };

// Positional arguments fill `names` in order, keyword arguments by name; the first `required` must be there.
Bound bind(const Args& args, std::string_view function, std::initializer_list<std::string_view> names, size_t required,
           Keywords keywords = Keywords::kAllowed);

// Arguments of a type, with an error otherwise.
const std::string& str_arg(const Value& v, std::string_view function);
int64_t int_arg(const Bound& b, size_t i, int64_t otherwise);
bool bool_arg(Env& env, const Bound& b, size_t i, bool otherwise);

}  // namespace transom::jinja
