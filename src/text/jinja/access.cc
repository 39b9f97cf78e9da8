// Iteration, subscription, slices and the sandbox's attribute access: see ops.h. After jinja2/sandbox.py, restated.
#include <algorithm>
#include <limits>

#include "text/jinja/objects.h"
#include "text/jinja/ops.h"
#include "text/jinja/repr.h"
#include "text/jinja/unicode.h"

namespace transom::jinja {
namespace {

// The character at `index` of a string (negative from the end); missing when out of range.
Value char_at(Env& env, const Value& v, int64_t index) {
  const Str& s = v.str();
  const int64_t n = static_cast<int64_t>(s.length);
  if (index < 0) index += n;
  if (index < 0 || index >= n) return {};
  if (s.ascii()) return env.str(std::string(1, s.text[static_cast<size_t>(index)]), s.markup);
  env.work(s.text.size());
  const size_t begin = char_offset(s.text, static_cast<size_t>(index));
  size_t end = begin;
  next_char(s.text, end);
  return env.str(s.text.substr(begin, end - begin), s.markup);
}

// v[key] as Python would: missing for the TypeError and LookupError that environment.getitem swallows.
Value subscript(Env& env, const Value& v, const Value& key) {
  switch (v.type()) {
    case Type::kUndefined: v.undefined().fail();
    case Type::kDict: {
      if (key.is(Type::kList) || key.is(Type::kDict)) return {};
      try {
        const Value* found = v.dict().find(key);
        return found ? *found : Value();
      } catch (const PyError& e) {
        if (e.exc != Exc::kType) throw;
        return {};
      }
    }
    case Type::kList:
    case Type::kTuple: {
      if (!key.is_int()) return {};
      int64_t i = clamp_int(key);
      const int64_t n = static_cast<int64_t>(v.items().size());
      if (i < 0) i += n;
      return i < 0 || i >= n ? Value() : v.items()[static_cast<size_t>(i)];
    }
    case Type::kStr: return key.is_int() ? char_at(env, v, clamp_int(key)) : Value();
    case Type::kObject:
      try {
        return v.object().item(env, key);
      } catch (const PyError& e) {
        if (e.exc != Exc::kType && e.exc != Exc::kIndex && e.exc != Exc::kKey) throw;
        return {};
      }
    default: return {};
  }
}

Value unsafe(Env& env, const Value& v, std::string_view name) {
  return env.undefined_hint("access to attribute '" + std::string(name) + "' of '" + type_name(v) + "' object is unsafe.", Exc::kSecurity);
}

struct Bounds {
  int64_t start, stop, step, count;
};

// PySlice_Unpack and PySlice_AdjustIndices.
Bounds adjust(const Value& start, const Value& stop, const Value& step, int64_t length) {
  const auto part = [](const Value& v, int64_t absent) {
    if (v.is_missing() || v.is_none()) return absent;
    if (!v.is_int()) raise(Exc::kType, "slice indices must be integers or None or have an __index__ method");
    return clamp_int(v);
  };
  Bounds b{};
  b.step = part(step, 1);
  if (b.step == 0) raise(Exc::kValue, "slice step cannot be zero");
  b.step = std::max(b.step, -std::numeric_limits<int64_t>::max());
  const int64_t lowest = b.step < 0 ? -1 : 0, highest = b.step < 0 ? length - 1 : length;
  const auto clip = [&](int64_t i) {
    if (i < 0) return std::max(i + length, lowest);
    return std::min(i, highest);
  };
  const bool up = b.step > 0;
  b.start = start.is_missing() || start.is_none() ? (up ? 0 : length - 1) : clip(part(start, 0));
  b.stop = stop.is_missing() || stop.is_none() ? (up ? length : -1) : clip(part(stop, 0));
  if (up) b.count = b.start < b.stop ? (b.stop - b.start - 1) / b.step + 1 : 0;
  else b.count = b.stop < b.start ? (b.start - b.stop - 1) / -b.step + 1 : 0;
  return b;
}

Value slice_string(Env& env, const Value& v, const Bounds& b) {
  const Str& s = v.str();
  env.work(s.text.size());
  if (b.step == 1) {
    if (b.count == 0) return env.str(std::string(), s.markup);
    if (s.ascii()) return env.str(s.text.substr(static_cast<size_t>(b.start), static_cast<size_t>(b.count)), s.markup);
    const size_t begin = char_offset(s.text, static_cast<size_t>(b.start));
    const size_t size = char_offset(std::string_view(s.text).substr(begin), static_cast<size_t>(b.count));
    return env.str(s.text.substr(begin, size), s.markup);
  }
  const std::u32string chars = to_chars32(s.text);
  std::string out;
  for (int64_t k = 0, i = b.start; k < b.count; ++k, i += b.step) append_char(out, chars[static_cast<size_t>(i)]);
  return env.str(std::move(out), s.markup);
}

}  // namespace

Value slice(Env& env, const Value& v, const Value& start, const Value& stop, const Value& step) {
  if (v.is_undefined()) v.undefined().fail();
  if (v.is_str()) return slice_string(env, v, adjust(start, stop, step, static_cast<int64_t>(v.str().length)));
  if (v.is_seq()) {
    const Bounds b = adjust(start, stop, step, static_cast<int64_t>(v.items().size()));
    env.work(static_cast<size_t>(b.count) * sizeof(Value));
    std::vector<Value> out;
    out.reserve(static_cast<size_t>(b.count));
    for (int64_t k = 0, i = b.start; k < b.count; ++k, i += b.step) out.push_back(v.items()[static_cast<size_t>(i)]);
    return v.is(Type::kList) ? env.list(std::move(out)) : env.tuple(std::move(out));
  }
  if (auto* r = v.as<Range>()) {
    const Bounds b = adjust(start, stop, step, r->count);
    const int64_t s = r->step * b.step;
    return make_object<Range>(env, r->start + b.start * r->step, r->start + b.start * r->step + b.count * s, s);
  }
  if (v.is(Type::kDict)) raise(Exc::kType, "unhashable type: 'slice'");
  raise(Exc::kType, "'" + type_name(v) + "' object is not subscriptable");
}

Value try_iterate(Env& env, const Value& v) {
  switch (v.type()) {
    case Type::kStr:
    case Type::kList:
    case Type::kTuple:
    case Type::kDict: return make_object<ContainerIterator>(env, v);
    case Type::kUndefined: return make_object<VectorIterator>(env, std::vector<Value>{}, "generator");
    case Type::kObject: return v.object().iterate(env);
    default: return {};
  }
}

Value iterate(Env& env, const Value& v) {
  Value it = try_iterate(env, v);
  if (it.is_missing()) raise(Exc::kType, "'" + type_name(v) + "' object is not iterable");
  return it;
}

bool next(Env& env, const Value& iterator, Value& out) {
  env.step();
  const DepthGuard guard(env);
  return static_cast<Iterator&>(iterator.object()).next(env, out);
}

std::vector<Value> to_vector(Env& env, const Value& iterable) {
  if (iterable.is_seq()) {
    env.work(iterable.items().size() * sizeof(Value));
    return iterable.items();
  }
  const Value it = iterate(env, iterable);
  std::vector<Value> out;
  Value v;
  while (next(env, it, v)) {
    env.check_size(out.size() * sizeof(Value));
    out.push_back(std::move(v));
  }
  return out;
}

Value reversed(Env& env, const Value& v) {
  if (v.is(Type::kObject)) return v.object().reversed(env);
  if (v.is_undefined()) return make_object<VectorIterator>(env, std::vector<Value>{}, "reversed");
  if (!v.is_str() && !v.is_seq() && !v.is(Type::kDict)) return {};
  std::vector<Value> items = to_vector(env, v);
  std::reverse(items.begin(), items.end());
  return make_object<VectorIterator>(env, std::move(items), v.is(Type::kList) ? "list_reverseiterator" : "reversed");
}

int64_t try_length(Env& env, const Value& v) {
  switch (v.type()) {
    case Type::kStr: return static_cast<int64_t>(v.str().length);
    case Type::kList:
    case Type::kTuple: return static_cast<int64_t>(v.items().size());
    case Type::kDict: return static_cast<int64_t>(v.dict().entries.size());
    case Type::kUndefined: return 0;
    case Type::kObject: return v.object().length(env);
    default: return -1;
  }
}

int64_t length(Env& env, const Value& v) {
  const int64_t n = try_length(env, v);
  if (n < 0) raise(Exc::kType, "object of type '" + type_name(v) + "' has no len()");
  return n;
}

Value native_attribute(Env& env, const Value& v, std::string_view name) {
  if (v.is_undefined()) v.undefined().fail();
  if (is_mutator(v, name)) return unsafe(env, v, name);
  if (name.starts_with("__") && name.ends_with("__") && name.size() > 4) {
    // what every Python object has; anything else of that form is looked up as an item
    constexpr std::string_view kCommon[] = {"__class__", "__init__", "__doc__", "__dict__", "__module__", "__subclasshook__",
        "__eq__", "__ne__", "__hash__", "__str__", "__repr__", "__reduce__", "__new__", "__dir__", "__format__", "__sizeof__"};
    if (std::find(std::begin(kCommon), std::end(kCommon), name) != std::end(kCommon)) return unsafe(env, v, name);
  }
  if (v.is(Type::kObject)) {
    Value found = v.object().attribute(env, name);
    return !found.is_missing() && name.starts_with("_") ? unsafe(env, v, name) : found;
  }
  if (v.is_seq() && v.seq().group && (name == "grouper" || name == "list")) return v.items()[name == "list"];
  if (v.is_number() && (name == "real" || name == "imag" || name == "numerator" || name == "denominator")) {
    if (v.is(Type::kFloat) && name != "real" && name != "imag") return {};
    if (name == "imag") return v.is(Type::kFloat) ? Value::number(0.0) : Value::integer(0);
    if (name == "denominator") return Value::integer(1);
    return unary_plus(env, v);
  }
  if (Native f = find_method(v, name)) return make_object<Method>(env, std::string(name), v, f);
  return {};
}

Value get_attribute(Env& env, const Value& v, const Value& name) {
  if (v.is(Type::kDict)) {
    // the common case first: no method of dict has this name
    Value found = native_attribute(env, v, name.text());
    if (!found.is_missing()) return found;
    const Value* item = v.dict().find(name.text());
    return item ? *item : env.undefined_attribute(v, name);
  }
  Value found = native_attribute(env, v, name.text());
  if (found.is_missing()) found = subscript(env, v, name);
  return found.is_missing() ? env.undefined_attribute(v, name) : found;
}

Value get_item(Env& env, const Value& v, const Value& key) {
  Value found = subscript(env, v, key);
  if (found.is_missing() && key.is_str()) found = native_attribute(env, v, key.text());
  return found.is_missing() ? env.undefined_attribute(v, key) : found;
}

}  // namespace transom::jinja
