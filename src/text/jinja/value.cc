// Objects, their accounting, dictionaries, hashing: see value.h.
#include "text/jinja/value.h"

#include <algorithm>

#include "text/jinja/env.h"
#include "text/jinja/number.h"
#include "text/jinja/repr.h"
#include "text/jinja/unicode.h"

namespace transom::jinja {

void raise(Exc exc, std::string message) { throw PyError{exc, std::move(message)}; }

void Heap::charge(size_t bytes) {
  if (bytes > limit_ || live_ + bytes > limit_)
    raise(Exc::kLimit, "expected at most " + std::to_string(limit_) + " bytes of live values, got more");
  live_ += bytes;
}

Obj::Obj(Heap* h, size_t b) : heap(h), bytes(b) {
  if (heap) heap->charge(bytes);
}
Obj::~Obj() {
  if (heap) heap->release(bytes);
}
void Obj::grow(size_t more) {
  if (heap) heap->charge(more);
  bytes += more;
}
void Obj::contain(const Value& child) {
  const Obj* o = child.obj();
  if (!o || o->depth < depth) return;
  if (o->depth >= kMaxValueDepth) raise(Exc::kLimit, "expected values nested at most " + std::to_string(kMaxValueDepth) + " deep, got more");
  depth = static_cast<uint16_t>(o->depth + 1);
}

Str::Str(Heap* h, std::string t, bool is_markup)
    : Obj(h, sizeof(Str) + t.size()), text(std::move(t)), length(count_chars(text)), markup(is_markup) {}

Seq::Seq(Heap* h, std::vector<Value> values) : Obj(h, sizeof(Seq) + values.size() * sizeof(Value)), items(std::move(values)) {
  for (const Value& v : items) contain(v);
}

bool Value::same(const Value& other) const {
  if (type_ != other.type_) return false;
  switch (type_) {
    case Type::kMissing:
    case Type::kNone: return true;
    case Type::kFloat: return u_.f == other.u_.f;
    case Type::kBool:
    case Type::kInt: return u_.i == other.u_.i;
    case Type::kStr:  // CPython shares the strings of one Latin-1 character
      return u_.o == other.u_.o || (text() == other.text() && str().length <= 1 && text() < "\u0100");
    case Type::kTuple: return u_.o == other.u_.o || (items().empty() && other.items().empty());
    default: return u_.o == other.u_.o;
  }
}

// Dictionaries

template <class Match>
const Dict::Entry* Dict::lookup(size_t hash, Match match) const {
  if (slots_.empty()) {
    for (const Entry& e : entries)
      if (match(e.first)) return &e;
    return nullptr;
  }
  const size_t mask = slots_.size() - 1;
  for (size_t i = hash & mask; slots_[i] != 0; i = (i + 1) & mask) {
    const Entry& e = entries[slots_[i] - 1];
    if (match(e.first)) return &e;
  }
  return nullptr;
}

void Dict::reindex() {
  slots_.assign(std::max<size_t>(32, slots_.size() * 2), 0);
  const size_t mask = slots_.size() - 1;
  for (size_t n = 0; n < entries.size(); ++n) {
    size_t i = hash_value(entries[n].first) & mask;
    while (slots_[i] != 0) i = (i + 1) & mask;
    slots_[i] = static_cast<uint32_t>(n + 1);
  }
}

const Value* Dict::find(const Value& key) const {
  if (key.is_str()) return find(key.text());
  const size_t h = hash_value(key);
  const Entry* e = lookup(h, [&](const Value& k) { return equal(k, key); });
  return e ? &e->second : nullptr;
}

const Value* Dict::find(std::string_view key) const {
  const size_t h = slots_.empty() ? 0 : std::hash<std::string_view>{}(key);
  const Entry* e = lookup(h, [&](const Value& k) { return k.is_str() && k.text() == key; });
  return e ? &e->second : nullptr;
}

void Dict::set(const Value& key, Value value) {
  contain(key);
  contain(value);
  if (const Value* old = find(key)) {
    *const_cast<Value*>(old) = std::move(value);
    return;
  }
  if (!key.is_str()) hash_value(key);
  grow(64);
  entries.emplace_back(key, std::move(value));
  if (entries.size() > 8 && entries.size() * 2 > slots_.size()) {
    reindex();
  } else if (!slots_.empty()) {
    const size_t mask = slots_.size() - 1;
    size_t i = hash_value(key) & mask;
    while (slots_[i] != 0) i = (i + 1) & mask;
    slots_[i] = static_cast<uint32_t>(entries.size());
  }
}

size_t hash_value(const Value& v) {
  switch (v.type()) {
    case Type::kNone: return 0x9e3779b9;
    case Type::kBool:
    case Type::kInt:
    case Type::kFloat:
    case Type::kBigInt: return hash_number(v);
    case Type::kStr: return std::hash<std::string_view>{}(v.text());
    case Type::kUndefined: return 0x51ed270b;
    case Type::kTuple: {
      size_t h = 0x345678;
      for (const Value& e : v.items()) h = (h ^ hash_value(e)) * 1000003;
      return h;
    }
    case Type::kObject:
      if (v.object().hashable()) return std::hash<const void*>{}(v.obj());
      [[fallthrough]];
    default: raise(Exc::kType, "unhashable type: '" + type_name(v) + "'");
  }
}

// Undefined

Undefined::Undefined(Heap* h, Kind k, std::string name_or_hint, std::string owner_type, Exc e)
    : Obj(h, sizeof(Undefined) + name_or_hint.size()), kind(k), exc(e), text(std::move(name_or_hint)), owner(std::move(owner_type)) {}

std::string Undefined::message() const {
  if (kind == Kind::kHint) return text;
  if (kind == Kind::kName) return "'" + text + "' is undefined";
  return "'" + owner + "' has no attribute " + text;
}

void Undefined::fail() const { raise(exc, message()); }

// Objects

std::string Object::repr(Env&) { return "<" + type_name() + " object>"; }
Value Object::attribute(Env&, std::string_view) { return {}; }
Value Object::item(Env&, const Value&) { raise(Exc::kType, "'" + type_name() + "' object is not subscriptable"); }
Value Object::call(Env&, Args&) { raise(Exc::kType, "'" + type_name() + "' object is not callable"); }
Value Object::iterate(Env&) { return {}; }
int64_t Object::length(Env&) { return -1; }
Value Object::reversed(Env&) { return {}; }

std::string type_name(const Value& v) {
  switch (v.type()) {
    case Type::kMissing: return "missing";
    case Type::kNone: return "NoneType";
    case Type::kBool: return "bool";
    case Type::kInt:
    case Type::kBigInt: return "int";
    case Type::kFloat: return "float";
    case Type::kUndefined: return "Undefined";
    case Type::kStr: return v.str().markup ? "Markup" : "str";
    case Type::kList: return "list";
    case Type::kTuple: return v.seq().group ? "_GroupTuple" : "tuple";
    case Type::kDict: return "dict";
    case Type::kObject: return v.object().type_name();
  }
  return "object";
}

bool truthy(Env& env, const Value& v) {
  switch (v.type()) {
    case Type::kMissing:
    case Type::kNone:
    case Type::kUndefined: return false;
    case Type::kBool:
    case Type::kInt: return v.small() != 0;
    case Type::kFloat: return v.real() != 0;
    case Type::kBigInt: return true;
    case Type::kStr: return !v.text().empty();
    case Type::kList:
    case Type::kTuple: return !v.items().empty();
    case Type::kDict: return !v.dict().entries.empty();
    case Type::kObject: return v.object().length(env) != 0;
  }
  return false;
}

// Env

Value Env::undefined_name(std::string name) {
  return Value(Type::kUndefined, new Undefined(&heap, Undefined::Kind::kName, std::move(name)));
}
Value Env::undefined_hint(std::string hint, Exc exc) {
  return Value(Type::kUndefined, new Undefined(&heap, Undefined::Kind::kHint, std::move(hint), {}, exc));
}
Value Env::undefined_attribute(const Value& owner, const Value& name) {
  const std::string kind = owner.is_none() ? "None" : type_name(owner) + " object";
  if (name.is_str()) {
    std::string shown = name.text().size() > 80 ? name.text().substr(0, 80) : name.text();
    return Value(Type::kUndefined, new Undefined(&heap, Undefined::Kind::kAttribute, repr_string(shown), kind));
  }
  return undefined_hint(kind + " has no such element");
}
void Env::check_size(uint64_t bytes) const {
  if (bytes > limits.bytes / 2)
    raise(Exc::kLimit, "expected a string of at most " + std::to_string(limits.bytes / 2) + " bytes, got more");
}
void Env::too_many_steps() const {
  raise(Exc::kLimit, "expected at most " + std::to_string(limits.steps) + " steps of evaluation, got more");
}

}  // namespace transom::jinja
