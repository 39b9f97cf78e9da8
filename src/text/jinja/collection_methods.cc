// The methods of list, tuple, dict, int and float that do not change their object, and the names of those that do.
#include <algorithm>
#include <cmath>

#include "text/jinja/args.h"
#include "text/jinja/number.h"
#include "text/jinja/objects.h"
#include "text/jinja/ops.h"
#include "text/jinja/repr.h"
#include "text/jinja/str_methods.h"

namespace transom::jinja {
namespace {

Value seq_count(Env& env, const Value& self, Args& args) {
  const Bound b = bind(args, "count", {"value"}, 1, Keywords::kRefused);
  int64_t n = 0;
  for (const Value& v : self.items()) {
    env.step();
    n += v.same(b[0]) || equal_counted(env, v, b[0]);
  }
  return Value::integer(n);
}

Value seq_index(Env& env, const Value& self, Args& args) {
  const Bound b = bind(args, "index", {"value", "start", "stop"}, 1, Keywords::kRefused);
  const int64_t n = static_cast<int64_t>(self.items().size());
  const auto place = [&](size_t i, int64_t absent) {
    const int64_t at = int_arg(b, i, absent);
    return std::clamp<int64_t>(at < 0 ? at + n : at, 0, n);
  };
  for (int64_t i = place(1, 0), end = place(2, n); i < end; ++i) {
    env.step();
    const Value& v = self.items()[static_cast<size_t>(i)];
    if (v.same(b[0]) || equal_counted(env, v, b[0])) return Value::integer(i);
  }
  raise(Exc::kValue, "value is not in list");
}

Value copy(Env&, const Value& self, Args& args) {
  bind(args, "copy", {}, 0, Keywords::kRefused);
  return self;
}

Value dict_get(Env&, const Value& self, Args& args) {
  const Bound b = bind(args, "get", {"key", "default"}, 1, Keywords::kRefused);
  const Value* found = self.dict().find(b[0]);
  return found ? *found : b.get(1, Value::none());
}

template <DictView::Kind K>
Value dict_view(Env& env, const Value& self, Args& args) {
  bind(args, "dict view", {}, 0, Keywords::kRefused);
  return make_object<DictView>(env, self, K);
}

Value dict_fromkeys(Env& env, const Value&, Args& args) {
  const Bound b = bind(args, "fromkeys", {"iterable", "value"}, 1, Keywords::kRefused);
  DictMaker m(env);
  for (const Value& k : to_vector(env, b[0])) m.set(k, b.get(1, Value::none()));
  return m.take();
}

Value int_bit_length(Env&, const Value& self, Args& args) {
  bind(args, "bit_length", {}, 0, Keywords::kRefused);
  return Value::integer(bit_length(self));
}

Value int_bit_count(Env&, const Value& self, Args& args) {
  bind(args, "bit_count", {}, 0, Keywords::kRefused);
  const std::string bits = int_text(self, 2);
  return Value::integer(std::count(bits.begin(), bits.end(), '1'));
}

Value conjugate(Env& env, const Value& self, Args& args) {
  bind(args, "conjugate", {}, 0, Keywords::kRefused);
  return unary_plus(env, self);
}

Value as_integer_ratio(Env& env, const Value& self, Args& args) {
  bind(args, "as_integer_ratio", {}, 0, Keywords::kRefused);
  if (self.is(Type::kFloat)) return integer_ratio(env, self.real());
  return env.tuple({unary_plus(env, self), Value::integer(1)});
}

Value float_is_integer(Env&, const Value& self, Args& args) {
  bind(args, "is_integer", {}, 0, Keywords::kRefused);
  return Value::boolean(std::isfinite(self.real()) && self.real() == std::floor(self.real()));
}

using Entry = std::pair<std::string_view, Native>;
constexpr Entry kListMethods[] = {{"count", seq_count}, {"index", seq_index}, {"copy", copy}};
constexpr Entry kDictMethods[] = {
    {"items", dict_view<DictView::Kind::kItems>}, {"get", dict_get}, {"keys", dict_view<DictView::Kind::kKeys>},
    {"values", dict_view<DictView::Kind::kValues>}, {"copy", copy}, {"fromkeys", dict_fromkeys}};
constexpr Entry kIntMethods[] = {{"bit_length", int_bit_length}, {"bit_count", int_bit_count}, {"conjugate", conjugate},
                                 {"as_integer_ratio", as_integer_ratio}};
constexpr Entry kFloatMethods[] = {{"is_integer", float_is_integer}, {"conjugate", conjugate},
                                   {"as_integer_ratio", as_integer_ratio}};

template <size_t N>
Native find_in(const Entry (&table)[N], std::string_view name) {
  for (const auto& [n, f] : table)
    if (n == name) return f;
  return nullptr;
}

}  // namespace

Native find_method(const Value& v, std::string_view name) {
  switch (v.type()) {
    case Type::kStr: return find_str_method(name);
    case Type::kList: return find_in(kListMethods, name);
    case Type::kTuple: return name == "copy" ? nullptr : find_in(kListMethods, name);
    case Type::kDict: return find_in(kDictMethods, name);
    case Type::kBool:
    case Type::kInt:
    case Type::kBigInt: return find_in(kIntMethods, name);
    case Type::kFloat: return find_in(kFloatMethods, name);
    default: return nullptr;
  }
}

bool is_mutator(const Value& v, std::string_view name) {
  constexpr std::string_view kList[] = {"append", "clear", "pop", "reverse", "insert", "sort", "extend", "remove"};
  constexpr std::string_view kDict[] = {"clear", "pop", "popitem", "setdefault", "update"};
  if (v.is(Type::kList)) return std::find(std::begin(kList), std::end(kList), name) != std::end(kList);
  if (v.is(Type::kDict)) return std::find(std::begin(kDict), std::end(kDict), name) != std::end(kDict);
  return false;
}

}  // namespace transom::jinja
