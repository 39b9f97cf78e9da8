// What filters share: attribute paths, applying filters and tests by name, case-insensitive keys.
#pragma once

#include <string>
#include <vector>

#include "text/jinja/env.h"

namespace transom::jinja {

// An attribute path such as "address.city" or 0, looked up item first (jinja2's make_attrgetter).
class AttributePath {
 public:
  // `attribute`: missing or None for the item itself, a str with dots, anything else as one key.
  AttributePath(Env& env, const Value& attribute);
  // A default (not None) replaces what is undefined on the way.
  Value get(Env& env, Value item, const Value& otherwise = {}) const;

 private:
  std::vector<Value> parts_;
};

// str.lower() of strings, other values as they are.
Value ignore_case(Env& env, const Value& v);
// An iterator that gives nothing.
Value empty_iterator(Env& env);

Value call_filter(Env& env, const Value& name, const Value& item, const Args& rest);
bool call_test(Env& env, const Value& name, const Value& item, const Args& rest);

}  // namespace transom::jinja
