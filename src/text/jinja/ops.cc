// Operators, ordering and containment: see ops.h. Semantics after CPython's abstract.c and unicodeobject.c, restated.
#include "text/jinja/ops.h"

#include <algorithm>

#include "text/jinja/format.h"
#include "text/jinja/objects.h"
#include "text/jinja/repr.h"
#include "text/jinja/unicode.h"

namespace transom::jinja {
namespace {

[[noreturn]] void unsupported(std::string_view op, const Value& a, const Value& b) {
  raise(Exc::kType, "unsupported operand type(s) for " + std::string(op) + ": '" + type_name(a) + "' and '" + type_name(b) + "'");
}

// Repeats a sequence `n` times; the size is checked before anything is built.
uint64_t repeat_count(Env& env, const Value& n, uint64_t unit) {
  const int64_t count = std::max<int64_t>(0, clamp_int(n));
  if (unit == 0) return 0;
  if (static_cast<uint64_t>(count) > env.limits.bytes / unit) env.check_size(env.limits.bytes + 1);
  env.check_size(static_cast<uint64_t>(count) * unit);
  env.work(static_cast<uint64_t>(count) * unit);
  return static_cast<uint64_t>(count);
}

Value repeat(Env& env, const Value& v, const Value& n) {
  if (v.is_str()) {
    const std::string& s = v.text();
    const uint64_t count = repeat_count(env, n, s.size());
    std::string out;
    out.reserve(s.size() * count);
    for (uint64_t i = 0; i < count; ++i) out += s;
    return env.str(std::move(out), v.str().markup);
  }
  const auto& items = v.items();
  const uint64_t count = repeat_count(env, n, items.size() * sizeof(Value));
  std::vector<Value> out;
  out.reserve(items.size() * count);
  for (uint64_t i = 0; i < count; ++i) out.insert(out.end(), items.begin(), items.end());
  return v.is(Type::kList) ? env.list(std::move(out)) : env.tuple(std::move(out));
}

Value join_strings(Env& env, const Value& a, const Value& b) {
  const bool markup = a.str().markup || b.str().markup;
  env.check_size(a.text().size() + b.text().size());
  env.work(a.text().size() + b.text().size());
  if (markup) return env.markup(escaped(env, a) + escaped(env, b));
  return env.str(a.text() + b.text());
}

Value add(Env& env, const Value& a, const Value& b) {
  if (a.is_str() && b.is_str()) return join_strings(env, a, b);
  if (a.is_seq() && a.type() == b.type()) {
    std::vector<Value> out = a.items();
    env.work((out.size() + b.items().size()) * sizeof(Value));
    out.insert(out.end(), b.items().begin(), b.items().end());
    return a.is(Type::kList) ? env.list(std::move(out)) : env.tuple(std::move(out));
  }
  if (a.is_str()) raise(Exc::kType, "can only concatenate str (not \"" + type_name(b) + "\") to str");
  if (a.is_seq()) raise(Exc::kType, "can only concatenate " + type_name(a) + " (not \"" + type_name(b) + "\") to " + type_name(a));
  unsupported("+", a, b);
}

bool less_items(Env& env, char op, const std::vector<Value>& a, const std::vector<Value>& b) {
  const size_t n = std::min(a.size(), b.size());
  for (size_t i = 0; i < n; ++i)
    if (!a[i].same(b[i]) && !equal_counted(env, a[i], b[i])) return ordered(env, op, a[i], b[i]);
  switch (op) {
    case '<': return a.size() < b.size();
    case 'l': return a.size() <= b.size();
    case '>': return a.size() > b.size();
    default: return a.size() >= b.size();
  }
}

bool holds(char op, std::partial_ordering c) {
  switch (op) {
    case '<': return c < 0;
    case 'l': return c <= 0;
    case '>': return c > 0;
    default: return c >= 0;
  }
}

}  // namespace

Value binary(Env& env, Arith op, const Value& a, const Value& b) {
  if (a.is_number() && b.is_number()) return arithmetic(env, op, a, b);
  if (op == Arith::kMod && a.is_str()) return percent_format(env, a, b);
  if (a.is_undefined()) a.undefined().fail();
  if (b.is_undefined()) b.undefined().fail();
  if (op == Arith::kAdd) return add(env, a, b);
  if (op == Arith::kMul) {
    const bool left = a.is_str() || a.is_seq(), right = b.is_str() || b.is_seq();
    if (left && b.is_int()) return repeat(env, a, b);
    if (right && a.is_int()) return repeat(env, b, a);
    if (left || right) raise(Exc::kType, "can't multiply sequence by non-int of type '" + type_name(left ? b : a) + "'");
  }
  if (op == Arith::kSub) return subtract_views(env, a, b);
  unsupported(symbol(op), a, b);
}

Value unary_minus(Env& env, const Value& a) {
  if (a.is_undefined()) a.undefined().fail();
  if (!a.is_number()) raise(Exc::kType, "bad operand type for unary -: '" + type_name(a) + "'");
  return negate(env, a);
}

Value unary_plus(Env& env, const Value& a) {
  if (a.is_undefined()) a.undefined().fail();
  if (!a.is_number()) raise(Exc::kType, "bad operand type for unary +: '" + type_name(a) + "'");
  return a.is(Type::kFloat) ? a : arithmetic(env, Arith::kAdd, Value::integer(0), a);
}

bool ordered(Env& env, char op, const Value& a, const Value& b) {
  env.step();
  if (a.is_number() && b.is_number()) return holds(op, compare_numbers(a, b));
  if (a.is_str() && b.is_str()) {
    env.work(std::min(a.text().size(), b.text().size()));
    return holds(op, a.text().compare(b.text()) <=> 0);  // UTF-8 orders as code points do
  }
  if (a.is_undefined()) a.undefined().fail();
  if (b.is_undefined()) b.undefined().fail();
  if (a.is_seq() && a.type() == b.type()) {
    const DepthGuard guard(env);
    return less_items(env, op, a.items(), b.items());
  }
  if (const auto subset = compare_views(env, op, a, b)) return *subset;
  const std::string shown = op == 'l' ? "<=" : op == 'g' ? ">=" : std::string(1, op);
  raise(Exc::kType, "'" + shown + "' not supported between instances of '" + type_name(a) + "' and '" + type_name(b) + "'");
}

bool less(Env& env, const Value& a, const Value& b) { return ordered(env, '<', a, b); }

bool equal_counted(Env& env, const Value& a, const Value& b) {
  if (a.is_str() && b.is_str()) env.work(a.text().size() == b.text().size() ? a.text().size() : 0);
  else if (a.obj() && b.obj()) env.work(std::min(a.obj()->bytes, b.obj()->bytes));
  return equal(a, b) || views_equal(env, a, b);
}

bool contains(Env& env, const Value& container, const Value& item) {
  if (container.is_str()) {
    if (!item.is_str()) raise(Exc::kType, "'in <string>' requires string as left operand, not " + type_name(item));
    env.work(container.text().size());
    return container.text().find(item.text()) != std::string::npos;
  }
  if (container.is_seq()) {
    for (const Value& v : container.items()) {
      env.step();
      if (v.same(item) || equal_counted(env, v, item)) return true;
    }
    return false;
  }
  if (container.is(Type::kDict)) return container.dict().find(item) != nullptr;
  if (auto* view = container.as<DictView>(); view && view->kind == DictView::Kind::kKeys) return view->dict.dict().find(item);
  if (auto* range = container.as<Range>()) return range->contains(item);
  const Value it = try_iterate(env, container);
  if (it.is_missing()) raise(Exc::kType, "argument of type '" + type_name(container) + "' is not iterable");
  Value v;
  while (next(env, it, v))
    if (v.same(item) || equal_counted(env, v, item)) return true;
  return false;
}

int64_t index_arg(const Value& v, std::string_view what) {
  if (v.is_undefined()) raise(Exc::kType, "'Undefined' object cannot be interpreted as an integer");
  if (!v.is_int()) raise(Exc::kType, v.is(Type::kFloat) ? "'float' object cannot be interpreted as an integer" : std::string(what));
  return clamp_int(v);
}

Value call(Env& env, const Value& f, Args& args) {
  if (f.is_undefined()) f.undefined().fail();
  if (!f.is(Type::kObject)) raise(Exc::kType, "'" + type_name(f) + "' object is not callable");
  const DepthGuard guard(env);
  return f.object().call(env, args);
}

}  // namespace transom::jinja
