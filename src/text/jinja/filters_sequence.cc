// Filters on sequences and mappings (jinja2/filters.py, restated).
#include <algorithm>
#include <random>

#include "text/jinja/args.h"
#include "text/jinja/builtins.h"
#include "text/jinja/lookup.h"
#include "text/jinja/objects.h"
#include "text/jinja/ops.h"
#include "text/jinja/repr.h"

namespace transom::jinja {
namespace {

Value do_batch(Env& env, Args& args) {
  const Bound b = bind(args, "do_batch", {"value", "linecount", "fill_with"}, 2);
  const Value size = b[1], fill = b.get(2, Value::none());
  return make_object<Generator>(env, b[0], [size, fill](Env& e, const Value& it, Value& out) {
    std::vector<Value> row;
    Value v;
    // a new row starts when the count is reached before the next item: a count of 0 never ends a row
    const int64_t n = size.is_number() && size.type() != Type::kFloat ? clamp_int(size) : -1;
    while ((n <= 0 || static_cast<int64_t>(row.size()) < n) && next(e, it, v)) row.push_back(v);
    if (row.empty()) return false;
    if (!fill.is_none() && ordered(e, '<', Value::integer(static_cast<int64_t>(row.size())), size)) {
      e.check_size(static_cast<uint64_t>(std::max<int64_t>(n, 0)) * sizeof(Value));
      e.work(static_cast<size_t>(std::max<int64_t>(n, 0)));
      row.resize(static_cast<size_t>(n), fill);
    }
    out = e.list(std::move(row));
    return true;
  });
}

Value do_slice(Env& env, Args& args) {
  const Bound b = bind(args, "do_slice", {"value", "slices", "fill_with"}, 2);
  const Value slices = b[1], fill = b.get(2, Value::none());
  int64_t number = 0;
  size_t offset = 0;
  std::vector<Value> items;
  return make_object<Generator>(env, b[0], [slices, fill, number, offset, items](Env& e, const Value& it, Value& out) mutable {
    if (number == 0) items = to_vector(e, it);
    if (!slices.is_int()) raise(Exc::kType, "unsupported operand type(s) for //: 'int' and '" + type_name(slices) + "'");
    const int64_t n = clamp_int(slices), size = static_cast<int64_t>(items.size());
    if (n == 0) raise(Exc::kZeroDivision, "integer division or modulo by zero");
    if (number >= n) return false;
    const bool extra = number < size % n;
    std::vector<Value> part(items.begin() + static_cast<std::ptrdiff_t>(offset),
                            items.begin() + static_cast<std::ptrdiff_t>(offset) + size / n + (extra ? 1 : 0));
    offset += part.size();
    if (!fill.is_none() && !extra) part.push_back(fill);
    ++number;
    out = e.list(std::move(part));
    return true;
  });
}

Value do_first(Env& env, Args& args) {
  const Bound b = bind(args, "do_first", {"seq"}, 1);
  Value v;
  if (next(env, iterate(env, b[0]), v)) return v;
  return env.undefined_hint("No first item, sequence was empty.");
}

Value do_last(Env& env, Args& args) {
  const Bound b = bind(args, "do_last", {"seq"}, 1);
  const Value it = reversed(env, b[0]);
  if (it.is_missing()) raise(Exc::kType, "'" + type_name(b[0]) + "' object is not reversible");
  Value v;
  if (next(env, it, v)) return v;
  return env.undefined_hint("No last item, sequence was empty.");
}

Value do_random(Env& env, Args& args) {
  const Bound b = bind(args, "do_random", {"seq"}, 1);
  const int64_t n = length(env, b[0]);
  if (n == 0) return env.undefined_hint("No random item, sequence was empty.");
  std::random_device device;
  const Value index = Value::integer(std::uniform_int_distribution<int64_t>(0, n - 1)(device));
  if (b[0].is(Type::kDict)) {
    const Value* found = b[0].dict().find(index);
    if (!found) raise(Exc::kKey, int_text(index));
    return *found;
  }
  return get_item(env, b[0], index);
}

Value do_list(Env& env, Args& args) { return env.list(to_vector(env, bind(args, "do_list", {"value"}, 1)[0])); }

Value do_length(Env& env, Args& args) { return Value::integer(length(env, bind(args, "len", {"obj"}, 1, Keywords::kRefused)[0])); }

Value do_join(Env& env, Args& args) {
  const Bound b = bind(args, "do_join", {"value", "d", "attribute"}, 1);
  const Value it = iterate(env, b[0]);
  const bool by_attribute = b.has(2) && !b[2].is_none();
  const AttributePath path(env, b.get(2, Value::none()));
  std::vector<Value> items;
  bool markup = b.has(1) && b[1].is_str() && b[1].str().markup;
  Value v;
  while (next(env, it, v)) {
    items.push_back(by_attribute ? path.get(env, v) : v);
    markup = markup || (items.back().is_str() && items.back().str().markup);
  }
  markup = markup && env.autoescape;
  const Value d = b.get(1, env.str(""));
  const std::string joint = markup ? escaped(env, d) : to_str(env, d);
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (i) out += joint;
    out += markup ? escaped(env, items[i]) : to_str(env, items[i]);
    env.check_size(out.size());
  }
  env.work(out.size());
  return env.str(std::move(out), markup);
}

Value do_reverse(Env& env, Args& args) {
  const Bound b = bind(args, "do_reverse", {"value"}, 1);
  if (b[0].is_str()) return slice(env, b[0], Value(), Value(), Value::integer(-1));
  Value it = reversed(env, b[0]);
  if (!it.is_missing()) return it;
  if (try_iterate(env, b[0]).is_missing()) raise(Exc::kRuntime, "argument must be iterable");
  std::vector<Value> items = to_vector(env, b[0]);
  std::reverse(items.begin(), items.end());
  return env.list(std::move(items));
}

struct Keyed {
  std::vector<Value> key;  // several are compared as a list is: equal ones are skipped, even those that have no order
  Value item;
};
enum class Key : bool { kValue, kList };

// sorted(items, key, reverse): stable both ways.
void sort_keyed(Env& env, std::vector<Keyed>& items, Key kind, bool reverse) {
  env.work(items.size() * sizeof(Keyed));
  if (reverse) std::reverse(items.begin(), items.end());
  stable_sort_values(items, [&](const Keyed& a, const Keyed& b) {
    if (kind == Key::kValue) return less(env, a.key[0], b.key[0]);
    for (size_t i = 0; i < a.key.size(); ++i) {
      if (a.key[i].same(b.key[i]) || equal_counted(env, a.key[i], b.key[i])) continue;
      return less(env, a.key[i], b.key[i]);
    }
    return false;
  });
  if (reverse) std::reverse(items.begin(), items.end());
}

Value items_of(Env& env, const std::vector<Keyed>& keyed) {
  std::vector<Value> out;
  for (const Keyed& k : keyed) out.push_back(k.item);
  return env.list(std::move(out));
}

Value do_sort(Env& env, Args& args) {
  const Bound b = bind(args, "do_sort", {"value", "reverse", "case_sensitive", "attribute"}, 1);
  const bool fold = !bool_arg(env, b, 2, false);
  std::vector<AttributePath> paths;
  if (b.has(3) && b[3].is_str()) {
    std::string_view s = b[3].text();
    for (size_t comma = 0; comma != std::string_view::npos; s = comma == std::string_view::npos ? s : s.substr(comma + 1)) {
      comma = s.find(',');
      paths.emplace_back(env, env.str(s.substr(0, comma)));
    }
  } else {
    paths.emplace_back(env, b.get(3, Value::none()));
  }
  std::vector<Keyed> keyed;
  for (const Value& v : to_vector(env, b[0])) {
    Keyed k{{}, v};
    for (const AttributePath& p : paths) k.key.push_back(fold ? ignore_case(env, p.get(env, v)) : p.get(env, v));
    keyed.push_back(std::move(k));
  }
  sort_keyed(env, keyed, Key::kList, int_arg(b, 1, 0) != 0);  // as sorted(), an int and nothing else
  return items_of(env, keyed);
}

Value do_dictsort(Env& env, Args& args) {
  const Bound b = bind(args, "do_dictsort", {"value", "case_sensitive", "by", "reverse"}, 1);
  const std::string by = b.has(2) && b[2].is_str() ? b[2].text() : b.has(2) ? "?" : "key";
  if (by != "key" && by != "value") raise(Exc::kRuntime, "You can only sort by either \"key\" or \"value\"");
  if (b[0].is_undefined()) b[0].undefined().fail();
  if (!b[0].is(Type::kDict)) raise(Exc::kAttribute, "'" + type_name(b[0]) + "' object has no attribute 'items'");
  const bool fold = !bool_arg(env, b, 1, false);
  std::vector<Keyed> keyed;
  for (const auto& [k, v] : b[0].dict().entries) {
    const Value& key = by == "key" ? k : v;
    keyed.push_back({{fold ? ignore_case(env, key) : key}, env.tuple({k, v})});
  }
  sort_keyed(env, keyed, Key::kValue, int_arg(b, 3, 0) != 0);
  return items_of(env, keyed);
}

Value do_unique(Env& env, Args& args) {
  const Bound b = bind(args, "do_unique", {"value", "case_sensitive", "attribute"}, 1);
  const bool fold = !bool_arg(env, b, 1, false);
  auto seen = std::make_shared<DictMaker>(env);
  return make_object<Generator>(env, b[0], [fold, seen, attribute = b.get(2, Value::none())](Env& e, const Value& it, Value& out) {
    const AttributePath path(e, attribute);
    while (next(e, it, out)) {
      const Value found = path.get(e, out), key = fold ? ignore_case(e, found) : found;
      hash_value(key);
      if (seen->peek().find(key)) continue;
      seen->set(key, Value::none());
      return true;
    }
    return false;
  });
}

Value extreme(Env& env, Args& args, bool want_max) {
  const Bound b = bind(args, "min or max", {"value", "case_sensitive", "attribute"}, 1);
  const Value it = iterate(env, b[0]);
  const AttributePath path(env, b.get(2, Value::none()));
  const bool fold = !bool_arg(env, b, 1, false);
  const auto key_of = [&](const Value& v) { return fold ? ignore_case(env, path.get(env, v)) : path.get(env, v); };
  Value best, best_key, v;
  while (next(env, it, v)) {
    const Value key = key_of(v);
    if (best.is_missing() || (want_max ? ordered(env, '>', key, best_key) : ordered(env, '<', key, best_key))) best = v, best_key = key;
  }
  return best.is_missing() ? env.undefined_hint("No aggregated item, sequence was empty.") : best;
}
Value do_min(Env& env, Args& args) { return extreme(env, args, false); }
Value do_max(Env& env, Args& args) { return extreme(env, args, true); }

Value do_sum(Env& env, Args& args) {
  const Bound b = bind(args, "do_sum", {"iterable", "attribute", "start"}, 1);
  const AttributePath path(env, b.get(1, Value::none()));
  Value total = b.get(2, Value::integer(0));
  const Value it = iterate(env, b[0]);
  if (total.is_str()) raise(Exc::kType, "sum() can't sum strings [use ''.join(seq) instead]");
  Value v;
  while (next(env, it, v)) total = binary(env, Arith::kAdd, total, path.get(env, v));
  return total;
}

Value do_groupby(Env& env, Args& args) {
  const Bound b = bind(args, "do_groupby", {"value", "attribute", "default", "case_sensitive"}, 2);
  const AttributePath path(env, b[1]);
  const bool fold = !bool_arg(env, b, 3, false);
  const Value otherwise = b.get(2, Value::none());
  std::vector<Keyed> keyed;
  for (const Value& v : to_vector(env, b[0])) {
    const Value found = path.get(env, v, otherwise);
    keyed.push_back({{fold ? ignore_case(env, found) : found}, v});
  }
  sort_keyed(env, keyed, Key::kValue, false);
  std::vector<Value> out;
  for (size_t i = 0; i < keyed.size();) {
    const size_t first = i;
    std::vector<Value> group;
    for (; i < keyed.size() && equal_counted(env, keyed[i].key[0], keyed[first].key[0]); ++i) group.push_back(keyed[i].item);
    if (group.empty()) group.push_back(keyed[i++].item);  // a key that is not equal to itself
    auto* tuple = new Seq(&env.heap, {path.get(env, keyed[first].item, otherwise), env.list(std::move(group))});
    tuple->group = true;
    out.push_back(Value(Type::kTuple, tuple));
  }
  return env.list(std::move(out));
}

Value do_items(Env& env, Args& args) {
  const Bound b = bind(args, "do_items", {"value"}, 1);
  if (b[0].is(Type::kDict)) return make_object<DictView>(env, b[0], DictView::Kind::kItems).object().iterate(env);
  if (b[0].is_undefined()) return empty_iterator(env);
  return make_object<SourceIterator>(env, b[0], [](Env&, const Value&, Value&) -> bool {
    raise(Exc::kType, "Can only get item pairs from a mapping.");
  });
}

constexpr std::pair<std::string_view, Filter> kFilters[] = {
    {"batch", do_batch}, {"count", do_length}, {"dictsort", do_dictsort}, {"first", do_first}, {"groupby", do_groupby},
    {"items", do_items}, {"join", do_join}, {"last", do_last}, {"length", do_length}, {"list", do_list}, {"max", do_max},
    {"min", do_min}, {"random", do_random}, {"reverse", do_reverse}, {"slice", do_slice}, {"sort", do_sort}, {"sum", do_sum},
    {"unique", do_unique},
};

}  // namespace

Filter find_sequence_filter(std::string_view name) {
  for (const auto& [n, f] : kFilters)
    if (n == name) return f;
  return nullptr;
}

}  // namespace transom::jinja
