// Values of the template language: Python's objects as far as templates can see them. A Value is a small handle;
// containers and strings are shared, reference-counted and immutable once built (the sandbox forbids mutation; only
// namespaces change). Each object charges a Heap, so that a hostile template meets a bound instead of exhausting memory,
// and knows its nesting depth, so that no recursion over values (printing, destroying) is unbounded.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace transom::jinja {

// Python's exception types, as far as something in a template's run can catch or a caller can tell them apart.
enum class Exc : uint8_t {
  kType, kValue, kOverflow, kIndex, kKey, kZeroDivision, kAttribute, kAssertion, kStopIteration,
  kUndefined, kSecurity, kRuntime, kSyntax,
  kTemplate,  // raise_exception: its message is passed on as it is
  kLimit,     // one of our own bounds
  kUnsupported,
};
struct PyError {
  Exc exc;
  std::string message;
  int line = 0;
};
[[noreturn]] void raise(Exc exc, std::string message);

constexpr int kMaxValueDepth = 400;

// Counts the live bytes of one rendering. Values must not outlive their Heap.
class Heap {
 public:
  explicit Heap(size_t limit) : limit_(limit) {}
  void charge(size_t bytes);  // raises kLimit
  void release(size_t bytes) { live_ -= bytes; }

 private:
  size_t limit_, live_ = 0;
};

struct Obj {
  Obj(Heap* heap, size_t bytes);  // heap may be null: constants of the template itself
  virtual ~Obj();
  Obj(const Obj&) = delete;
  Obj& operator=(const Obj&) = delete;
  // Raises kLimit when a value this deep may not be built.
  void contain(const class Value& child);
  void grow(size_t bytes);  // charges more

  std::atomic<uint32_t> refs{0};
  uint16_t depth = 0;
  Heap* heap;
  size_t bytes;
};

enum class Type : uint8_t {
  kMissing,  // no value at all (a name not yet assigned): never seen by templates
  kNone, kBool, kInt, kFloat,                                                        // held in the handle
  kBigInt, kUndefined, kStr, kList, kTuple, kDict, kObject,                          // pointers
};

struct Str;
struct Seq;
struct Dict;
struct Undefined;
struct Object;

class Value {
 public:
  Value() = default;
  Value(const Value& other) : type_(other.type_), u_(other.u_) { retain(); }
  Value(Value&& other) noexcept : type_(other.type_), u_(other.u_) { other.type_ = Type::kMissing; }
  Value& operator=(const Value& other) { return *this = Value(other); }
  Value& operator=(Value&& other) noexcept {
    std::swap(type_, other.type_);
    std::swap(u_, other.u_);
    return *this;
  }
  ~Value() { drop(); }
  // Takes part in the ownership of `o`.
  Value(Type type, Obj* o) : type_(type) { u_.o = o, retain(); }

  static Value none() { return Value(Type::kNone, int64_t{0}); }
  static Value boolean(bool b) { return Value(Type::kBool, static_cast<int64_t>(b)); }
  static Value integer(int64_t i) { return Value(Type::kInt, i); }
  static Value number(double f) {
    Value v;
    v.type_ = Type::kFloat, v.u_.f = f;
    return v;
  }

  Type type() const { return type_; }
  bool is(Type t) const { return type_ == t; }
  bool is_missing() const { return type_ == Type::kMissing; }
  bool is_undefined() const { return type_ == Type::kUndefined; }
  bool is_none() const { return type_ == Type::kNone; }
  bool is_str() const { return type_ == Type::kStr; }
  bool is_int() const { return type_ == Type::kInt || type_ == Type::kBigInt || type_ == Type::kBool; }  // isinstance(v, int)
  bool is_number() const { return is_int() || type_ == Type::kFloat; }
  bool is_seq() const { return type_ == Type::kList || type_ == Type::kTuple; }
  bool is_true() const { return type_ == Type::kBool && u_.i; }  // the object True

  int64_t small() const { return u_.i; }  // kInt, kBool
  double real() const { return u_.f; }
  Obj* obj() const { return type_ >= Type::kBigInt ? u_.o : nullptr; }
  const Str& str() const;
  const std::string& text() const;  // of a kStr
  const Seq& seq() const;
  const std::vector<Value>& items() const;  // of a kList or kTuple
  const Dict& dict() const;
  const Undefined& undefined() const;
  Object& object() const;
  // The object behind a kObject if it is a T.
  template <class T>
  T* as() const {
    return type_ == Type::kObject ? dynamic_cast<T*>(u_.o) : nullptr;
  }
  // Python's `is`.
  bool same(const Value& other) const;

 private:
  Value(Type type, int64_t i) : type_(type) { u_.i = i; }
  void retain() const {
    if (type_ >= Type::kBigInt) u_.o->refs.fetch_add(1, std::memory_order_relaxed);
  }
  void drop() {
    if (type_ >= Type::kBigInt && u_.o->refs.fetch_sub(1, std::memory_order_acq_rel) == 1) delete u_.o;
  }
  Type type_ = Type::kMissing;
  union {
    int64_t i;
    double f;
    Obj* o;
  } u_{0};
};

struct Str : Obj {
  Str(Heap* heap, std::string text, bool is_markup);
  std::string text;
  size_t length;  // in code points
  bool markup;    // markupsafe.Markup
  bool ascii() const { return length == text.size(); }
};

struct Seq : Obj {
  Seq(Heap* heap, std::vector<Value> values);
  std::vector<Value> items;
  bool group = false;  // what groupby gives: a tuple whose items are also .grouper and .list
};

// Insertion-ordered; keys compare and hash as in Python (1 == 1.0 == True).
struct Dict : Obj {
  using Entry = std::pair<Value, Value>;
  explicit Dict(Heap* heap) : Obj(heap, 96) {}
  void set(const Value& key, Value value);  // while it is being built; raises kType for an unhashable key
  const Value* find(const Value& key) const;  // raises kType for an unhashable key
  const Value* find(std::string_view key) const;
  std::vector<Entry> entries;

 private:
  template <class Match>
  const Entry* lookup(size_t hash, Match match) const;
  void reindex();
  std::vector<uint32_t> slots_;  // open addressing over entries, from 9 entries on; 0 is empty
};

// jinja2.Undefined: falsy, empty, printable; anything else raises its message.
struct Undefined : Obj {
  enum class Kind : uint8_t { kName, kAttribute, kHint };
  Undefined(Heap* heap, Kind k, std::string name_or_hint, std::string owner_type = {}, Exc e = Exc::kUndefined);
  [[noreturn]] void fail() const;
  std::string message() const;
  Kind kind;
  Exc exc;
  std::string text, owner;
};

class Env;
struct Args {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};

// Everything else: functions, macros, loops, namespaces, iterators, views. The defaults are an inert object.
struct Object : Obj {
  using Obj::Obj;
  virtual std::string type_name() const = 0;
  virtual std::string repr(Env& env);
  virtual Value attribute(Env& env, std::string_view name);  // missing when there is none
  virtual Value item(Env& env, const Value& key);            // raises kType by default; kIndex, kKey
  virtual bool callable() const { return false; }
  virtual Value call(Env& env, Args& args);
  virtual Value iterate(Env& env);                  // a new Iterator; missing when not iterable
  virtual int64_t length(Env& env);                 // -1: has no len()
  virtual bool has_getitem() const { return false; }
  virtual bool hashable() const { return true; }
  virtual Value reversed(Env& env);                 // missing when not reversible
};

// A Python iterator: used up as it is read.
struct Iterator : Object {
  explicit Iterator(Heap* heap, size_t bytes = 96) : Object(heap, bytes) {}
  virtual bool next(Env& env, Value& out) = 0;
  std::string type_name() const override { return "generator"; }
  Value iterate(Env&) override { return Value(Type::kObject, this); }
};

size_t hash_value(const Value& v);  // raises kType for what is not hashable
std::string type_name(const Value& v);
bool truthy(Env& env, const Value& v);

inline const Str& Value::str() const { return static_cast<const Str&>(*u_.o); }
inline const std::string& Value::text() const { return str().text; }
inline const Seq& Value::seq() const { return static_cast<const Seq&>(*u_.o); }
inline const std::vector<Value>& Value::items() const { return seq().items; }
inline const Dict& Value::dict() const { return static_cast<const Dict&>(*u_.o); }
inline const Undefined& Value::undefined() const { return static_cast<const Undefined&>(*u_.o); }
inline Object& Value::object() const { return static_cast<Object&>(*u_.o); }

}  // namespace transom::jinja
