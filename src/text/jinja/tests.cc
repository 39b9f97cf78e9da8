// The tests of `is` (jinja2/tests.py, restated).
#include "text/jinja/args.h"
#include "text/jinja/builtins.h"
#include "text/jinja/ops.h"
#include "text/jinja/repr.h"
#include "text/jinja/unicode.h"

namespace transom::jinja {
namespace {

const Value& one(const Args& args) {
  if (args.positional.size() != 1 || !args.named.empty()) raise(Exc::kType, "test takes no arguments");
  return args.positional[0];
}

bool remainder_is(Env& env, const Value& v, const Value& by, int64_t wanted) {
  return equal(binary(env, Arith::kMod, v, by), Value::integer(wanted));
}

bool is_odd(Env& env, Args& args) { return remainder_is(env, one(args), Value::integer(2), 1); }
bool is_even(Env& env, Args& args) { return remainder_is(env, one(args), Value::integer(2), 0); }
bool is_divisibleby(Env& env, Args& args) {
  const Bound b = bind(args, "test_divisibleby", {"value", "num"}, 2);
  return remainder_is(env, b[0], b[1], 0);
}

bool is_defined(Env&, Args& args) { return !one(args).is_undefined(); }
bool is_undefined(Env&, Args& args) { return one(args).is_undefined(); }
bool is_none(Env&, Args& args) { return one(args).is_none(); }
bool is_boolean(Env&, Args& args) { return one(args).is(Type::kBool); }
bool is_false(Env&, Args& args) { return one(args).is(Type::kBool) && !one(args).small(); }
bool is_true(Env&, Args& args) { return one(args).is_true(); }
bool is_integer(Env&, Args& args) { return one(args).is(Type::kInt) || one(args).is(Type::kBigInt); }
bool is_float(Env&, Args& args) { return one(args).is(Type::kFloat); }
bool is_string(Env&, Args& args) { return one(args).is_str(); }
bool is_mapping(Env&, Args& args) { return one(args).is(Type::kDict); }
bool is_number(Env&, Args& args) { return one(args).is_number(); }
bool is_escaped(Env&, Args& args) { return one(args).is_str() && one(args).str().markup; }

bool is_filter(Env&, Args& args) {
  hash_value(one(args));
  return one(args).is_str() && find_filter(one(args).text());
}
bool is_test(Env&, Args& args) {
  hash_value(one(args));
  return one(args).is_str() && find_test(one(args).text());
}

// str(v) has cased characters, all of the one case.
template <bool Lower>
bool is_case(Env& env, Args& args) {
  bool seen = false;
  const std::string s = to_str(env, one(args));
  for (size_t p = 0; p < s.size();) {
    const char32_t c = next_char(s, p);
    if (is_title(c) || (Lower ? jinja::is_upper(c) : jinja::is_lower(c))) return false;
    seen = seen || (Lower ? jinja::is_lower(c) : jinja::is_upper(c));
  }
  return seen;
}

bool is_sequence(Env&, Args& args) {
  const Value& v = one(args);
  if (v.is(Type::kObject)) return v.object().has_getitem() && v.object().type_name() == "range";  // has a len(), too
  return v.is_str() || v.is_seq() || v.is(Type::kDict) || v.is_undefined();
}

bool is_iterable(Env& env, Args& args) { return !try_iterate(env, one(args)).is_missing(); }
bool is_callable(Env&, Args& args) { return one(args).is_undefined() || (one(args).is(Type::kObject) && one(args).object().callable()); }

bool is_sameas(Env&, Args& args) {
  const Bound b = bind(args, "test_sameas", {"value", "other"}, 2);
  return b[0].same(b[1]);
}
bool is_in(Env& env, Args& args) {
  const Bound b = bind(args, "test_in", {"value", "seq"}, 2);
  return contains(env, b[1], b[0]);
}

template <char Op>
bool compares(Env& env, Args& args) {
  const Bound b = bind(args, "comparison", {"a", "b"}, 2, Keywords::kRefused);
  if (Op == '=' || Op == '!') return equal_counted(env, b[0], b[1]) == (Op == '=');
  return ordered(env, Op, b[0], b[1]);
}

constexpr std::pair<std::string_view, Test> kTests[] = {
    {"odd", is_odd}, {"even", is_even}, {"divisibleby", is_divisibleby}, {"defined", is_defined}, {"undefined", is_undefined},
    {"filter", is_filter}, {"test", is_test}, {"none", is_none}, {"boolean", is_boolean}, {"false", is_false},
    {"true", is_true}, {"integer", is_integer}, {"float", is_float}, {"lower", is_case<true>}, {"upper", is_case<false>},
    {"string", is_string}, {"mapping", is_mapping}, {"number", is_number}, {"sequence", is_sequence},
    {"iterable", is_iterable}, {"callable", is_callable}, {"sameas", is_sameas}, {"escaped", is_escaped}, {"in", is_in},
    {"==", compares<'='>}, {"eq", compares<'='>}, {"equalto", compares<'='>}, {"!=", compares<'!'>}, {"ne", compares<'!'>},
    {">", compares<'>'>}, {"gt", compares<'>'>}, {"greaterthan", compares<'>'>}, {"ge", compares<'g'>}, {">=", compares<'g'>},
    {"<", compares<'<'>}, {"lt", compares<'<'>}, {"lessthan", compares<'<'>}, {"<=", compares<'l'>}, {"le", compares<'l'>},
};

}  // namespace

Test find_test(std::string_view name) {
  for (const auto& [n, f] : kTests)
    if (n == name) return f;
  return nullptr;
}

}  // namespace transom::jinja
