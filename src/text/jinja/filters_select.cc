// map, select, reject, selectattr and rejectattr: lazily, as jinja2's generators do it; and lookups that filters share.
#include "text/jinja/args.h"
#include "text/jinja/builtins.h"
#include "text/jinja/lookup.h"
#include "text/jinja/objects.h"
#include "text/jinja/ops.h"
#include "text/jinja/repr.h"
#include "text/jinja/unicode.h"

namespace transom::jinja {
namespace {

// The arguments after the first `skip` positional ones.
Args rest_of(const Args& args, size_t skip) {
  Args rest;
  rest.named = args.named;
  for (size_t i = skip; i < args.positional.size(); ++i) rest.positional.push_back(args.positional[i]);
  return rest;
}

void need_value(const Args& args, const char* name) {
  if (args.positional.empty()) raise(Exc::kType, std::string(name) + "() missing required argument: 'value'");
}

// A generator over `source` whose arguments count for its depth.
Value generator(Env& env, const Value& source, const Args& args, Generator::Step step) {
  auto* g = new Generator(&env.heap, source, std::move(step));
  Value v(Type::kObject, g);
  for (const Value& a : args.positional) g->holds(a);
  for (const auto& kw : args.named) g->holds(kw.second);
  return v;
}

Value map_attribute(Env& env, const Value& source, const Args& args) {
  return generator(env, source, args, [args](Env& e, const Value& it, Value& out) {
    Value attribute, otherwise;
    for (const auto& [k, v] : args.named) {
      if (k == "attribute") attribute = v;
      else if (k == "default") otherwise = v;
      else raise(Exc::kRuntime, "Unexpected keyword argument " + repr_string(k));
    }
    Value item;
    if (!next(e, it, item)) return false;
    out = AttributePath(e, attribute).get(e, item, otherwise);
    return true;
  });
}

Value do_map(Env& env, Args& args) {
  need_value(args, "do_map");
  const Value source = args.positional[0];
  if (!truthy(env, source)) return empty_iterator(env);
  bool by_attribute = false;
  for (const auto& kw : args.named) by_attribute = by_attribute || kw.first == "attribute";
  if (args.positional.size() == 1 && by_attribute) return map_attribute(env, source, args);
  const bool named = args.positional.size() > 1;
  const Value name = named ? args.positional[1] : Value();
  return generator(env, source, args, [name, rest = rest_of(args, 2)](Env& e, const Value& it, Value& out) {
    if (name.is_missing()) raise(Exc::kRuntime, "map requires a filter argument");
    Value item;
    if (!next(e, it, item)) return false;
    out = call_filter(e, name, item, rest);
    return true;
  });
}

template <bool Keep, bool ByAttribute>
Value do_select(Env& env, Args& args) {
  need_value(args, "select");
  const Value source = args.positional[0];
  if (!truthy(env, source)) return empty_iterator(env);
  const size_t at = ByAttribute ? 2 : 1;
  const Value attribute = ByAttribute && args.positional.size() > 1 ? args.positional[1] : Value();
  const Value name = args.positional.size() > at ? args.positional[at] : Value();
  return generator(env, source, args, [attribute, name, rest = rest_of(args, at + 1)](Env& e, const Value& it, Value& out) {
    if (ByAttribute && attribute.is_missing()) raise(Exc::kRuntime, "Missing parameter for attribute name");
    Value item;
    while (next(e, it, item)) {
      const Value tested = ByAttribute ? AttributePath(e, attribute).get(e, item) : item;
      if ((name.is_missing() ? truthy(e, tested) : call_test(e, name, tested, rest)) != Keep) continue;
      out = std::move(item);
      return true;
    }
    return false;
  });
}

}  // namespace

AttributePath::AttributePath(Env& env, const Value& attribute) {
  if (attribute.is_missing() || attribute.is_none()) return;
  if (!attribute.is_str()) {
    parts_.push_back(attribute);
    return;
  }
  std::string_view s = attribute.text();
  for (;;) {
    const size_t dot = s.find('.');
    const std::string_view part = s.substr(0, dot);
    const bool digits = !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
    parts_.push_back(digits ? int_from_digits(&env.heap, part) : env.str(part));
    if (dot == std::string_view::npos) return;
    s = s.substr(dot + 1);
  }
}

Value AttributePath::get(Env& env, Value item, const Value& otherwise) const {
  for (const Value& part : parts_) {
    item = get_item(env, item, part);
    if (item.is_undefined() && !otherwise.is_missing() && !otherwise.is_none()) item = otherwise;
  }
  return item;
}

Value ignore_case(Env& env, const Value& v) { return v.is_str() ? env.str(lower(v.text())) : v; }

Value empty_iterator(Env& env) { return make_object<VectorIterator>(env, std::vector<Value>{}, "generator"); }

Value call_filter(Env& env, const Value& name, const Value& item, const Args& rest) {
  const Filter filter = name.is_str() ? find_filter(name.text()) : nullptr;
  if (!filter) raise(Exc::kRuntime, "No filter named " + (name.is_str() ? repr_string(name.text()) : type_name(name)) + ".");
  Args args = rest;
  args.positional.insert(args.positional.begin(), item);
  const DepthGuard guard(env);
  return filter(env, args);
}

bool call_test(Env& env, const Value& name, const Value& item, const Args& rest) {
  const Test test = name.is_str() ? find_test(name.text()) : nullptr;
  if (!test) raise(Exc::kRuntime, "No test named " + (name.is_str() ? repr_string(name.text()) : type_name(name)) + ".");
  Args args = rest;
  args.positional.insert(args.positional.begin(), item);
  return test(env, args);
}

Filter find_selection_filter(std::string_view name) {
  if (name == "map") return do_map;
  if (name == "select") return do_select<true, false>;
  if (name == "reject") return do_select<false, false>;
  if (name == "selectattr") return do_select<true, true>;
  if (name == "rejectattr") return do_select<false, true>;
  return nullptr;
}

}  // namespace transom::jinja
