// The built-in kinds of object besides plain data: ranges, dictionary views, iterators, namespaces, bound methods,
// functions, cyclers and joiners.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/env.h"

namespace transom::jinja {

struct Range : Object {
  Range(Heap* heap, int64_t a, int64_t b, int64_t s);
  std::string type_name() const override { return "range"; }
  std::string repr(Env& env) override;
  Value attribute(Env& env, std::string_view name) override;
  Value item(Env& env, const Value& key) override;
  Value iterate(Env& env) override;
  int64_t length(Env&) override { return count; }
  bool has_getitem() const override { return true; }
  Value reversed(Env& env) override;
  bool contains(const Value& v) const;
  int64_t start, stop, step, count;
};

struct DictView : Object {
  enum class Kind : uint8_t { kKeys, kValues, kItems };
  DictView(Heap* heap, Value d, Kind k) : Object(heap, 64), dict(std::move(d)), kind(k) { contain(dict); }
  std::string type_name() const override;
  std::string repr(Env& env) override;
  Value attribute(Env& env, std::string_view name) override;
  Value iterate(Env& env) override;
  int64_t length(Env&) override { return static_cast<int64_t>(dict.dict().entries.size()); }
  Value reversed(Env& env) override;
  bool hashable() const override { return kind == Kind::kValues; }
  Value dict;
  Kind kind;
};
// Keys and items compare as sets do; the difference of two is a set, which templates have no other use for than to iterate.
Value subtract_views(Env& env, const Value& a, const Value& b);
std::optional<bool> compare_views(Env& env, char op, const Value& a, const Value& b);
bool views_equal(Env& env, const Value& a, const Value& b);

// An iterator over items that are known.
struct VectorIterator : Iterator {
  VectorIterator(Heap* heap, std::vector<Value> v, std::string name);
  bool next(Env& env, Value& out) override;
  std::string type_name() const override { return name_; }

 private:
  std::vector<Value> items_;
  size_t at_ = 0;
  std::string name_;
};
// Over a list, tuple, string or dict (keys) without copying it.
struct ContainerIterator : Iterator {
  ContainerIterator(Heap* heap, Value c) : Iterator(heap), container_(std::move(c)) { contain(container_); }
  bool next(Env& env, Value& out) override;
  std::string type_name() const override { return "iterator"; }

 private:
  Value container_;
  size_t at_ = 0;
};
// A generator over another iterable, which it starts to read on the first next(). `step` gives the next value or false.
struct Generator : Iterator {
  using Step = std::function<bool(Env&, const Value& source, Value& out)>;
  Generator(Heap* heap, Value s, Step f) : Iterator(heap, 160), source_(std::move(s)), step_(std::move(f)) { contain(source_); }
  bool next(Env& env, Value& out) override;
  // Values that the step holds count for the depth of this one.
  void holds(const Value& v) { contain(v); }

 private:
  Value source_, iterator_;
  Step step_;
  bool done_ = false;
};

// An iterator whose step reads its source by itself.
struct SourceIterator : Iterator {
  SourceIterator(Heap* heap, Value s, Generator::Step f) : Iterator(heap, 160), source_(std::move(s)), step_(std::move(f)) {
    contain(source_);
  }
  bool next(Env& env, Value& out) override { return step_(env, source_, out); }

 private:
  Value source_;
  Generator::Step step_;
};

struct Namespace : Object {
  explicit Namespace(Heap* heap) : Object(heap, 128) {}
  std::string type_name() const override { return "TemplateNamespace"; }
  std::string repr(Env& env) override;
  Value attribute(Env& env, std::string_view name) override;
  void set(Env& env, const std::string& name, Value v);
  std::vector<std::pair<std::string, Value>> attributes;
  bool printing = false;
};

using Native = Value (*)(Env& env, const Value& self, Args& args);
// A method of a value, or (self missing) a global function.
struct Method : Object {
  Method(Heap* heap, std::string n, Value s, Native f)
      : Object(heap, 96), name(std::move(n)), self(std::move(s)), native(f) {
    contain(self);
  }
  std::string type_name() const override { return self.is_missing() ? "function" : "builtin_function_or_method"; }
  bool callable() const override { return true; }
  Value call(Env& env, Args& args) override { return native(env, self, args); }
  std::string name;
  Value self;
  Native native;
};

// jinja2's `missing`, as it shows where a variable is read after its end.
struct MissingMark : Object {
  explicit MissingMark(Heap* heap) : Object(heap, 48) {}
  std::string type_name() const override { return "MissingType"; }
  std::string repr(Env&) override { return "missing"; }
};

struct Cycler : Object {
  Cycler(Heap* heap, std::vector<Value> v);
  std::string type_name() const override { return "Cycler"; }
  Value attribute(Env& env, std::string_view name) override;
  std::vector<Value> items;
  size_t position = 0;
};

struct Joiner : Object {
  Joiner(Heap* heap, Value s) : Object(heap, 64), separator(std::move(s)) { contain(separator); }
  std::string type_name() const override { return "Joiner"; }
  bool callable() const override { return true; }
  Value call(Env& env, Args& args) override;
  Value attribute(Env& env, std::string_view name) override;
  Value separator;
  bool used = false;
};

// The methods of str, list, tuple, dict, int and float; null when there is no such one.
Native find_method(const Value& v, std::string_view name);
// Names that the sandbox hides because they would change the value (append, update …).
bool is_mutator(const Value& v, std::string_view name);

template <class T, class... A>
Value make_object(Env& env, A&&... args) {
  return Value(Type::kObject, new T(&env.heap, std::forward<A>(args)...));
}

}  // namespace transom::jinja
