// Python's operations on values: operators, ordering, containment, iteration, subscription and attribute access as the
// sandbox allows it.
#pragma once

#include <string_view>
#include <vector>

#include "text/jinja/env.h"
#include "text/jinja/number.h"

namespace transom::jinja {

Value binary(Env& env, Arith op, const Value& a, const Value& b);  // + - * / // % **
Value unary_minus(Env& env, const Value& a);
Value unary_plus(Env& env, const Value& a);

// a < b, and the rest by op ('<', 'l' for <=, '>', 'g' for >=). Raises kType for what has no order.
bool less(Env& env, const Value& a, const Value& b);
bool ordered(Env& env, char op, const Value& a, const Value& b);
bool contains(Env& env, const Value& container, const Value& item);
bool equal_counted(Env& env, const Value& a, const Value& b);  // equal(), accounted for

// A stable sort that survives a comparison which raises or is not a strict order.
template <class T, class Less>
void stable_sort_values(std::vector<T>& items, Less is_less);

// iter(v): raises kType when v is not iterable.
Value iterate(Env& env, const Value& v);
Value try_iterate(Env& env, const Value& v);  // missing instead
bool next(Env& env, const Value& iterator, Value& out);
std::vector<Value> to_vector(Env& env, const Value& iterable);
// reversed(v) as an iterator; missing when v is not reversible.
Value reversed(Env& env, const Value& v);
int64_t try_length(Env& env, const Value& v);  // -1: no len()
int64_t length(Env& env, const Value& v);
// range(start, stop, step), which the sandbox keeps to 100000 elements.
Value make_range(Env& env, const Value& start, const Value& stop, const Value& step);

// environment.getattr / getitem: undefined when there is no such thing.
Value get_attribute(Env& env, const Value& v, const Value& name);
Value get_item(Env& env, const Value& v, const Value& key);
// getattr(v, name) as Python would, checked by the sandbox: missing when absent, an undefined when unsafe.
Value native_attribute(Env& env, const Value& v, std::string_view name);
// v[start:stop:step]; missing stands for an absent part.
Value slice(Env& env, const Value& v, const Value& start, const Value& stop, const Value& step);
Value call(Env& env, const Value& f, Args& args);

// An index argument: an int (or bool). Raises kType otherwise.
int64_t index_arg(const Value& v, std::string_view what = "an integer is required");

template <class T, class Less>
void stable_sort_values(std::vector<T>& items, Less is_less) {
  if (items.size() < 2) return;
  const size_t half = items.size() / 2;
  std::vector<T> left(items.begin(), items.begin() + static_cast<std::ptrdiff_t>(half));
  std::vector<T> right(items.begin() + static_cast<std::ptrdiff_t>(half), items.end());
  stable_sort_values(left, is_less);
  stable_sort_values(right, is_less);
  size_t l = 0, r = 0;
  for (T& out : items) {
    const bool take_right = l == left.size() || (r < right.size() && is_less(right[r], left[l]));
    out = std::move(take_right ? right[r++] : left[l++]);
  }
}

}  // namespace transom::jinja
