// Macros, blocks and loops as objects (jinja2/runtime.py, restated): see interpreter.h.
#include <algorithm>

#include "text/jinja/args.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/ops.h"
#include "text/jinja/repr.h"

namespace transom::jinja {

// Macro

std::string Macro::repr(Env&) { return node.kind == Kind::kMacro ? "<Macro " + repr_string(node.name) + ">" : "<Macro anonymous>"; }

Value Macro::attribute(Env& env, std::string_view name) {
  if (name == "name") return node.kind == Kind::kMacro ? env.str(node.name) : Value::none();
  if (name == "catch_kwargs") return Value::boolean(node.function->kwargs >= 0);
  if (name == "catch_varargs") return Value::boolean(node.function->varargs >= 0);
  if (name == "caller") return Value::boolean(node.function->uses_caller);
  if (name == "explicit_caller") return Value::boolean(node.function->explicit_caller);
  if (name != "arguments") return {};
  std::vector<Value> out;
  for (const std::string& p : node.params) out.push_back(env.str(p));
  return env.tuple(std::move(out));
}

Value Macro::call(Env& env, Args& args) {
  const size_t count = node.params.size();
  std::vector<Value> arguments(args.positional.begin(),
                               args.positional.begin() + static_cast<std::ptrdiff_t>(std::min(count, args.positional.size())));
  bool found_caller = false;
  if (arguments.size() == count) found_caller = node.function->explicit_caller;
  for (size_t i = arguments.size(); i < count; ++i) {
    const std::string& name = node.params[i];
    const auto it = std::find_if(args.named.begin(), args.named.end(), [&](const auto& kw) { return kw.first == name; });
    if (name == "caller") found_caller = true;
    arguments.emplace_back();
    if (it == args.named.end()) continue;
    arguments.back() = it->second;
    args.named.erase(it);
  }
  bind_special(env, args, found_caller, arguments);
  return env.str(interpreter.call_macro(node, closure, std::move(arguments)), env.autoescape);
}

// Appends caller, kwargs and varargs where the body uses them, and refuses what is left over.
void Macro::bind_special(Env& env, Args& args, bool found_caller, std::vector<Value>& arguments) {
  const Function& f = *node.function;
  const std::string shown = node.kind == Kind::kMacro ? repr_string(node.name) : "None";
  if (f.uses_caller && !found_caller) {
    Value caller = env.undefined_hint("No caller defined");
    const auto it = std::find_if(args.named.begin(), args.named.end(), [](const auto& kw) { return kw.first == "caller"; });
    if (it != args.named.end()) {
      if (!it->second.is_none()) caller = it->second;
      args.named.erase(it);
    }
    arguments.push_back(caller);
  }
  if (f.kwargs >= 0) {
    DictMaker m(env);
    for (auto& [k, v] : args.named) m.set(k, v);
    arguments.push_back(m.take());
  } else if (!args.named.empty()) {
    for (const auto& kw : args.named)
      if (kw.first == "caller")
        raise(Exc::kType, "macro " + shown + " was invoked with two values for the special caller argument. This is most likely a bug.");
    raise(Exc::kType, "macro " + shown + " takes no keyword argument " + repr_string(args.named[0].first));
  }
  const size_t count = node.params.size();
  if (f.varargs >= 0) {
    std::vector<Value> rest;
    for (size_t i = count; i < args.positional.size(); ++i) rest.push_back(args.positional[i]);
    arguments.push_back(env.tuple(std::move(rest)));
  } else if (args.positional.size() > count) {
    raise(Exc::kType, "macro " + shown + " takes not more than " + std::to_string(count) + " argument(s)");
  }
}

// Blocks

Value SelfReference::item(Env& env, const Value& key) {
  if (key.is_str())
    for (const Node* b : interpreter.resolved().blocks)
      if (b->name == key.text()) return make_object<BlockReference>(env, interpreter, *b, context);
  raise(Exc::kKey, "no such block");
}

Value BlockReference::call(Env& env, Args& args) {
  bind(args, "block", {}, 0);
  return env.str(interpreter.render_block(block, *context), env.autoescape);
}

Value BlockReference::attribute(Env& env, std::string_view name) {
  if (name == "name") return env.str(block.name);
  if (name == "super") return env.undefined_hint("there is no parent block called " + repr_string(block.name) + ".");
  return {};
}

// Loops

LoopContext::LoopContext(Heap* h, Env& env, const Value& iterable, int64_t depth) : Object(h, 256), iterable_(iterable), depth0_(depth) {
  contain(iterable);
  iterator_ = jinja::iterate(env, iterable);
}

bool LoopContext::advance(Env& env, Value& out) {
  if (!after_.is_missing()) out = std::move(after_), after_ = Value();
  else if (!next(env, iterator_, out)) return false;
  ++index0_;
  contain(out);
  before_ = std::move(current_);
  current_ = out;
  return true;
}

const Value& LoopContext::peek(Env& env) {
  Value v;
  if (after_.is_missing() && next(env, iterator_, v)) after_ = std::move(v);
  return after_;
}

int64_t LoopContext::length(Env& env) {
  if (length_ >= 0) return length_;
  length_ = try_length(env, iterable_);
  if (length_ < 0) {
    std::vector<Value> rest = to_vector(env, iterator_);
    length_ = static_cast<int64_t>(rest.size()) + index0_ + 1 + (after_.is_missing() ? 0 : 1);
    iterator_ = make_object<VectorIterator>(env, std::move(rest), "list_iterator");
  }
  return length_;
}

std::string LoopContext::repr(Env& env) {
  return "<LoopContext " + std::to_string(index0_ + 1) + "/" + std::to_string(length(env)) + ">";
}

Value LoopContext::changed(Env& env, const Value& now) {
  if (!last_changed_.is_missing() && equal_counted(env, last_changed_, now)) return Value::boolean(false);
  contain(now);
  last_changed_ = now;
  return Value::boolean(true);
}

Value LoopContext::attribute(Env& env, std::string_view name) {
  const auto integer = [](int64_t i) { return Value::integer(i); };
  if (name == "index") return integer(index0_ + 1);
  if (name == "index0") return integer(index0_);
  if (name == "first") return Value::boolean(index0_ == 0);
  if (name == "last") return Value::boolean(peek(env).is_missing());
  if (name == "length") return integer(length(env));
  if (name == "revindex") return integer(length(env) - index0_);
  if (name == "revindex0") return integer(length(env) - index0_ - 1);
  if (name == "depth") return integer(depth0_ + 1);
  if (name == "depth0") return integer(depth0_);
  if (name == "previtem") return index0_ == 0 ? env.undefined_hint("there is no previous item") : before_;
  if (name == "nextitem") return peek(env).is_missing() ? env.undefined_hint("there is no next item") : after_;
  const Value self(Type::kObject, this);
  if (name == "cycle")
    return make_object<Method>(env, "cycle", self, [](Env&, const Value& s, Args& args) {
      if (args.positional.empty()) raise(Exc::kType, "no items for cycling given");
      const auto n = static_cast<int64_t>(args.positional.size());
      return args.positional[static_cast<size_t>(((s.as<LoopContext>()->index0_ % n) + n) % n)];
    });
  if (name == "changed")
    return make_object<Method>(env, "changed", self, [](Env& e, const Value& s, Args& args) {
      return s.as<LoopContext>()->changed(e, e.tuple(args.positional));
    });
  return {};
}

Value LoopContext::call(Env& env, Args& args) {
  const Bound b = bind(args, "loop", {"iterable"}, 1);
  if (!interpreter) raise(Exc::kType, "The loop must have the 'recursive' marker to be called recursively.");
  return env.str(interpreter->render_loop(*node, *outer, b[0], depth0_ + 1));
}

}  // namespace transom::jinja
