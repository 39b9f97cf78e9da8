// The state of one rendering: bounds and their counters, the clock, the current line for errors, and the makers of values.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "text/jinja/value.h"

namespace transom::jinja {

struct Limits {
  uint64_t steps = 100'000'000;           // evaluated nodes, plus work by size
  size_t bytes = size_t{768} << 20;       // live memory of values and output
  int depth = 1200;                       // nested evaluations
};

struct Namespace;
struct Frame;

class Env {
 public:
  explicit Env(Limits l) : limits(l), heap(l.bytes) {}
  ~Env();
  Env(const Env&) = delete;

  void step() {
    if (++steps_ > limits.steps) too_many_steps();
  }
  // Accounts for work on `bytes` bytes or items.
  void work(size_t bytes) {
    steps_ += bytes / 64 + 1;
    if (steps_ > limits.steps) too_many_steps();
  }

  Value str(std::string s, bool markup = false) {
    return Value(Type::kStr, new Str(&heap, std::move(s), markup));
  }
  Value str(std::string_view s, bool markup = false) { return str(std::string(s), markup); }
  Value str(const char* s) { return str(std::string(s)); }
  Value markup(std::string s) { return str(std::move(s), true); }
  Value list(std::vector<Value> items) { return Value(Type::kList, new Seq(&heap, std::move(items))); }
  Value tuple(std::vector<Value> items) { return Value(Type::kTuple, new Seq(&heap, std::move(items))); }
  Value undefined_name(std::string name);
  Value undefined_attribute(const Value& owner, const Value& name);
  Value undefined_hint(std::string hint, Exc exc = Exc::kUndefined);
  // The largest string that repetition, padding and the like may build. Raises before anything is allocated.
  void check_size(uint64_t bytes) const;

  Limits limits;
  Heap heap;
  int line = 1;
  int depth = 0;
  bool autoescape = false;
  std::optional<std::chrono::system_clock::time_point> now;
  // Objects that may be part of cycles; they are emptied when the rendering ends.
  std::vector<Value> namespaces;
  std::vector<std::shared_ptr<Frame>> frames;

 private:
  [[noreturn]] void too_many_steps() const;
  uint64_t steps_ = 0;
};

// Counts one level of nested evaluation.
class DepthGuard {
 public:
  explicit DepthGuard(Env& env) : env_(env) {
    if (++env_.depth > env_.limits.depth) {
      --env_.depth;
      raise(Exc::kLimit, "expected at most " + std::to_string(env_.limits.depth) + " nested evaluations, got more");
    }
  }
  ~DepthGuard() { --env_.depth; }
  DepthGuard(const DepthGuard&) = delete;

 private:
  Env& env_;
};

// dict under construction: DictMaker m(env); m.set(k, v); m.take()
class DictMaker {
 public:
  explicit DictMaker(Env& env) : env_(env), dict_(new Dict(&env.heap)), value_(Type::kDict, dict_) {}
  void set(const Value& key, Value value) { dict_->set(key, std::move(value)); }
  void set(std::string_view key, Value value) { dict_->set(env_.str(key), std::move(value)); }
  Value take() { return std::move(value_); }
  const Dict& peek() const { return *dict_; }

 private:
  Env& env_;
  Dict* dict_;
  Value value_;
};

}  // namespace transom::jinja
