// Filters on single values: numbers, defaults, attributes, JSON; and the filter registry.
#include <cmath>

#include "text/jinja/args.h"
#include "text/jinja/builtins.h"
#include "text/jinja/number.h"
#include "text/jinja/ops.h"
#include "text/jinja/pprint.h"
#include "text/jinja/repr.h"

namespace transom::jinja {
namespace {

Value do_abs(Env& env, Args& args) {
  const Bound b = bind(args, "abs", {"x"}, 1, Keywords::kRefused);
  if (!b[0].is_number()) raise(Exc::kType, "bad operand type for abs(): '" + type_name(b[0]) + "'");
  return absolute(env, b[0]);
}

Value do_attr(Env& env, Args& args) {
  const Bound b = bind(args, "do_attr", {"obj", "name"}, 2);
  if (!b[1].is_str()) raise(Exc::kType, "attribute name must be string, not '" + type_name(b[1]) + "'");
  const Value found = native_attribute(env, b[0], b[1].text());
  return found.is_missing() ? env.undefined_attribute(b[0], b[1]) : found;
}

Value do_default(Env& env, Args& args) {
  const Bound b = bind(args, "do_default", {"value", "default_value", "boolean"}, 1);
  if (b[0].is_undefined() || (bool_arg(env, b, 2, false) && !truthy(env, b[0]))) return b.get(1, env.str(""));
  return b[0];
}

// int(float(v)); missing when that raises what the filter catches.
Value int_by_float(Env& env, const Value& v) {
  try {
    if (v.is_str()) return double_to_int(env, parse_float(v.text()));
    if (v.is_number()) return double_to_int(env, to_double(v));
  } catch (const PyError& e) {
    if (e.exc != Exc::kValue && e.exc != Exc::kOverflow) throw;
  }
  return {};
}

Value do_int(Env& env, Args& args) {
  const Bound b = bind(args, "do_int", {"value", "default", "base"}, 1);
  if (b[0].is_undefined()) b[0].undefined().fail();
  const Value otherwise = b.get(1, Value::integer(0));
  try {
    if (b[0].is_str()) return parse_int(env, b[0].text(), static_cast<int>(std::min<int64_t>(100, int_arg(b, 2, 10))));
    if (b[0].is(Type::kFloat)) return double_to_int(env, b[0].real());
    if (b[0].is_int()) return unary_plus(env, b[0]);
  } catch (const PyError& e) {
    if (e.exc != Exc::kValue && e.exc != Exc::kType) throw;
  }
  const Value v = int_by_float(env, b[0]);
  return v.is_missing() ? otherwise : v;
}

Value do_float(Env&, Args& args) {
  const Bound b = bind(args, "do_float", {"value", "default"}, 1);
  if (b[0].is_undefined()) b[0].undefined().fail();
  try {
    if (b[0].is_str()) return Value::number(parse_float(b[0].text()));
  } catch (const PyError& e) {
    if (e.exc != Exc::kValue) throw;
  }
  if (b[0].is_number()) return Value::number(to_double(b[0]));
  return b.get(1, Value::number(0.0));
}

Value do_round(Env& env, Args& args) {
  const Bound b = bind(args, "do_round", {"value", "precision", "method"}, 1);
  const std::string method = !b.has(2) ? "common" : b[2].is_str() ? b[2].text() : "?";
  if (method != "common" && method != "ceil" && method != "floor") raise(Exc::kRuntime, "method must be common, ceil or floor");
  const Value precision = b.get(1, Value::integer(0));
  if (method == "common") {
    if (!b[0].is_number()) raise(Exc::kType, "type " + type_name(b[0]) + " doesn't define __round__ method");
    if (!precision.is_none()) index_arg(precision);
    return round_number(env, b[0], precision);
  }
  const Value scale = binary(env, Arith::kPow, Value::integer(10), precision);
  const Value scaled = binary(env, Arith::kMul, b[0], scale);
  if (!scaled.is_number()) raise(Exc::kType, "must be real number, not " + type_name(scaled));
  return binary(env, Arith::kDiv, floor_ceil(env, scaled, method == "ceil"), scale);
}

Value do_pprint(Env& env, Args& args) { return env.str(pretty_print(env, bind(args, "do_pprint", {"value"}, 1)[0])); }

Value do_tojson(Env& env, Args& args) {
  const Bound b = bind(args, "tojson", {"x", "ensure_ascii", "indent", "separators", "sort_keys"}, 1);
  JsonStyle style;
  style.ensure_ascii = bool_arg(env, b, 1, false);
  style.sort_keys = bool_arg(env, b, 4, false);
  if (b.has(2) && !b[2].is_none()) {
    style.pretty = true;
    style.item_separator = ",";
    if (b[2].is_str()) style.indent = b[2].text();
    else style.indent = binary(env, Arith::kMul, env.str(" "), b[2]).text();
  }
  if (b.has(3) && !b[3].is_none()) {
    const std::vector<Value> parts = to_vector(env, b[3]);
    if (parts.size() != 2) raise(Exc::kValue, "expected two separators, got " + std::to_string(parts.size()));
    style.item_separator = str_arg(parts[0], "tojson");
    style.key_separator = str_arg(parts[1], "tojson");
  }
  return env.str(json_dumps(env, b[0], style));
}

}  // namespace

Filter find_value_filter(std::string_view name) {
  constexpr std::pair<std::string_view, Filter> kFilters[] = {
      {"abs", do_abs}, {"attr", do_attr}, {"d", do_default}, {"default", do_default}, {"float", do_float}, {"int", do_int},
      {"pprint", do_pprint}, {"round", do_round}, {"tojson", do_tojson}};
  for (const auto& [n, f] : kFilters)
    if (n == name) return f;
  return nullptr;
}

Filter find_filter(std::string_view name) {
  for (const auto& find : {find_value_filter, find_text_filter, find_sequence_filter, find_selection_filter, find_layout_filter})
    if (Filter f = find(name)) return f;
  return nullptr;
}

}  // namespace transom::jinja
