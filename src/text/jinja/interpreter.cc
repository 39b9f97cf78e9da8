// Statements: see interpreter.h. What each does follows the Python that jinja2/compiler.py writes for it.
#include "text/jinja/interpreter.h"

#include <algorithm>

#include "text/jinja/builtins.h"
#include "text/jinja/ops.h"
#include "text/jinja/repr.h"

namespace transom::jinja {

Value ContextVars::find(const std::string& name) const {
  for (const ContextVars* c = this; c; c = c->base) {
    for (const auto* map : {&c->vars, &c->locals}) {
      const auto it = map->find(name);
      if (it != map->end()) return it->second;
    }
  }
  return {};
}

void Out::reserve(size_t more) {
  const size_t wanted = std::max(text_.size() + more, charged_ + charged_ / 2 + 4096);
  env_.heap.charge(wanted - charged_);
  charged_ = wanted;
  text_.reserve(wanted);
}

Value& Interpreter::slot(const SlotRef& ref, Frame& f) {
  Frame* frame = &f;
  for (int i = 0; i < ref.hops; ++i) frame = frame->outer;
  return frame->slots[static_cast<size_t>(ref.slot)];
}

// The frame for a call: `local` itself, unless closures made in it may outlive the call.
Frame& Interpreter::new_frame(const Function& function, Frame* outer, ContextVars* context, Frame& local) {
  Frame* f = &local;
  if (function.captured) {
    env_.heap.charge(128 + static_cast<size_t>(function.slots) * sizeof(Value));
    env_.frames.push_back(std::make_shared<Frame>());
    f = env_.frames.back().get();
  }
  f->slots.resize(static_cast<size_t>(function.slots));
  f->outer = outer;
  f->context = context;
  return *f;
}

void Interpreter::enter(const Scope& scope, Frame& f) {
  for (const Load& load : scope.loads) {
    Value& v = f.slots[static_cast<size_t>(load.slot)];
    switch (load.action) {
      case Load::Action::kParameter: break;
      case Load::Action::kUndefined: v = Value(); break;
      case Load::Action::kAlias: v = slot(load.alias, f); break;
      case Load::Action::kResolve: {
        Value found = f.context->find(load.name);
        v = std::move(found);
        break;
      }
    }
  }
}

void Interpreter::leave(const Scope& scope, Frame& f) {
  for (const Load& load : scope.loads) f.slots[static_cast<size_t>(load.slot)] = Value();
}

std::string Interpreter::run(const Node& root, std::unordered_map<std::string, Value> variables) {
  contexts_.push_back(std::make_unique<ContextVars>());
  ContextVars& context = *contexts_.back();
  context.locals = std::move(variables);
  for (const char* name : {"range", "dict", "lipsum", "cycler", "joiner", "namespace", "raise_exception", "strftime_now"}) {
    Value& v = context.locals[name];
    if (v.is_missing()) v = find_global(env_, name);
  }
  Frame local;
  Frame& f = new_frame(*resolved_.root, nullptr, &context, local);
  if (resolved_.root->self >= 0)
    f.slots[static_cast<size_t>(resolved_.root->self)] = make_object<SelfReference>(env_, *this, &context);
  enter(*resolved_.root->scope, f);
  Out out(env_);
  exec_all(root.body, f, out);
  return out.take();
}

Flow Interpreter::exec_all(const std::vector<NodePtr>& nodes, Frame& f, Out& out) {
  for (const auto& n : nodes) {
    const Flow flow = exec(*n, f, out);
    if (flow != Flow::kNext) return flow;
  }
  return Flow::kNext;
}

Flow Interpreter::exec(const Node& n, Frame& f, Out& out) {
  env_.step();
  env_.line = n.line;
  const DepthGuard guard(env_);
  switch (n.kind) {
    case Kind::kOutput: output(n, f, out); return Flow::kNext;
    case Kind::kFor: return exec_for(n, f, out);
    case Kind::kIf: return exec_if(n, f, out);
    case Kind::kMacro: define_macro(n, f); return Flow::kNext;
    case Kind::kCallBlock: exec_call_block(n, f, out); return Flow::kNext;
    case Kind::kFilterBlock: return exec_filter_block(n, f, out);
    case Kind::kWith: return exec_with(n, f, out);
    case Kind::kAutoescape: return exec_autoescape(n, f, out);
    case Kind::kBlock: exec_block(n, f, out); return Flow::kNext;
    case Kind::kAssign: exec_assign(n, f); return Flow::kNext;
    case Kind::kAssignBlock: return exec_assign_block(n, f);
    case Kind::kBreak: return Flow::kBreak;
    case Kind::kContinue: return Flow::kContinue;
    default: exec_include(n, f); return Flow::kNext;
  }
}

void Interpreter::output(const Node& n, Frame& f, Out& out) {
  for (const auto& item : n.items) {
    if (item->kind == Kind::kData) {
      out.put(item->value.text());
      continue;
    }
    const Value v = eval(*item, f);
    env_.line = item->line;
    if (escapes(n.escape)) out.put(escaped(env_, v));
    else if (v.is_str()) out.put(v.text());
    else out.put(to_str(env_, v));
  }
}

Flow Interpreter::exec_if(const Node& n, Frame& f, Out& out) {
  if (truthy(env_, eval(*n.test, f))) return exec_all(n.body, f, out);
  for (const auto& branch : n.items) {
    env_.line = branch->line;
    if (truthy(env_, eval(*branch->test, f))) return exec_all(branch->body, f, out);
  }
  return exec_all(n.orelse, f, out);
}

// Loops

Flow Interpreter::exec_for(const Node& n, Frame& f, Out& out) {
  const Value iterable = eval(*n.a, f);
  if (!n.recursive) return loop(n, f, iterable, Value::integer(0), nullptr, out);
  out.put(render_loop(n, f, iterable, 0));
  return Flow::kNext;
}

std::string Interpreter::render_loop(const Node& n, Frame& outer, const Value& iterable, int64_t depth) {
  Frame local;
  Frame& f = new_frame(*n.function, &outer, outer.context, local);
  Out out(env_);
  loop(n, f, iterable, Value::integer(depth), &outer, out);
  return out.take();
}

bool Interpreter::next_filtered(const Node& n, Frame& f, const Value& source, Value& out) {
  Value item;
  while (next(env_, source, item)) {
    assign(*n.b, std::move(item), f, false);
    if (!truthy(env_, eval(*n.test, f))) continue;
    out = eval(*n.b, f);
    return true;
  }
  return false;
}

Flow Interpreter::loop(const Node& n, Frame& f, const Value& iterable, const Value& depth, Frame* recursion_outer, Out& out) {
  Value source = iterable;
  if (n.test) {
    Frame* outer = recursion_outer ? recursion_outer : &f;
    env_.heap.charge(128);
    env_.frames.push_back(std::make_shared<Frame>());
    Frame* filter = env_.frames.back().get();
    filter->slots.resize(static_cast<size_t>(n.filter_function->slots));
    filter->outer = outer, filter->context = f.context;
    bool entered = false;
    source = make_object<Generator>(env_, iterable, [this, &n, filter, entered](Env&, const Value& it, Value& v) mutable {
      if (!entered) enter(*n.filter_function->scope, *filter), entered = true;
      return next_filtered(n, *filter, it, v);
    });
  }
  const bool extended = n.slot.slot >= 0;
  bool completed = false;
  Flow flow = Flow::kNext;
  const auto one = [&](Value item, const Value& loop_object) {
    flow = pass(n, f, std::move(item), loop_object, out);
    if (flow == Flow::kNext) completed = true;
    return flow != Flow::kBreak;
  };
  if (extended) {
    const Value object(Type::kObject, new LoopContext(&env_.heap, env_, source, depth.small()));
    auto* context = object.as<LoopContext>();
    if (n.recursive) context->interpreter = this, context->node = &n, context->outer = recursion_outer;
    Value item;
    while (context->advance(env_, item) && one(std::move(item), object)) {
    }
  } else if (source.is_seq()) {
    for (const Value& item : source.items()) {
      env_.step();
      if (!one(item, {})) break;
    }
  } else {
    const Value it = iterate(env_, source);
    Value item;
    while (next(env_, it, item) && one(std::move(item), {})) {
    }
  }
  leave(*n.scope, f);
  if (n.orelse.empty() || completed) return Flow::kNext;
  enter(*n.else_scope, f);
  flow = exec_all(n.orelse, f, out);
  leave(*n.else_scope, f);
  return flow;
}

Flow Interpreter::pass(const Node& n, Frame& f, Value item, const Value& loop_object, Out& out) {
  assign(*n.target, std::move(item), f, false);
  if (!loop_object.is_missing()) slot(n.slot, f) = loop_object;
  enter(*n.scope, f);
  return exec_all(n.body, f, out);
}

// Macros, call blocks and blocks

Value Interpreter::make_macro(const Node& n, Frame& f) { return make_object<Macro>(env_, *this, n, &f); }

void Interpreter::define_macro(const Node& n, Frame& f) {
  Value macro = make_macro(n, f);
  if (n.exported) f.context->vars[n.name] = macro;
  slot(n.slot, f) = std::move(macro);
}

std::string Interpreter::call_macro(const Node& n, Frame* closure, std::vector<Value> arguments) {
  const Function& fn = *n.function;
  const int line = env_.line;
  Frame local;
  Frame& f = new_frame(fn, closure, closure->context, local);
  std::vector<int> targets = fn.parameters;
  for (int special : {fn.caller, fn.kwargs, fn.varargs})
    if (special >= 0) targets.push_back(special);
  for (size_t i = 0; i < targets.size(); ++i) f.slots[static_cast<size_t>(targets[i])] = std::move(arguments[i]);
  enter(*fn.scope, f);
  for (size_t i = 0; i < fn.parameters.size(); ++i) {
    const size_t at = static_cast<size_t>(fn.parameters[i]);
    if (!f.slots[at].is_missing()) continue;
    const size_t required = n.params.size() - n.defaults.size();
    Value v = i >= required ? eval(*n.defaults[i - required], f)
                            : env_.undefined_hint("parameter '" + n.params[i] + "' was not provided");
    f.slots[at] = std::move(v);
  }
  Out out(env_);
  exec_all(n.body, f, out);
  env_.line = line;
  return out.take();
}

void Interpreter::exec_call_block(const Node& n, Frame& f, Out& out) {
  const Value caller = make_macro(n, f);
  Value result;
  if (n.a) {
    result = eval_call(*n.a, f, caller);
  } else {
    Args none;
    result = call(env_, caller, none);
  }
  put_string(out, result);
}

// What a call or filter block gives is not converted: anything but a string fails, as in jinja2.
void Interpreter::put_string(Out& out, const Value& v) {
  if (!v.is_str()) raise(Exc::kType, "sequence item 0: expected str instance, " + type_name(v) + " found");
  out.put(v.text());
}

void Interpreter::exec_block(const Node& n, Frame& f, Out& out) {
  if (n.required) raise(Exc::kRuntime, "Required block '" + n.name + "' not found");
  ContextVars* context = f.context;
  if (n.scoped) {
    contexts_.push_back(std::make_unique<ContextVars>());
    env_.heap.charge(256);
    context = contexts_.back().get();
    context->base = f.context;
    for (const auto& [name, ref] : n.scope->visible)
      if (const Value& v = slot(ref, f); !v.is_missing()) context->locals[name] = v;
  }
  out.put(render_block(n, *context));
}

std::string Interpreter::render_block(const Node& block, ContextVars& context) {
  Frame local;
  const Function& fn = *block.function;
  Frame& f = new_frame(fn, nullptr, &context, local);
  if (fn.self >= 0) f.slots[static_cast<size_t>(fn.self)] = make_object<SelfReference>(env_, *this, &context);
  if (fn.super >= 0)
    f.slots[static_cast<size_t>(fn.super)] = env_.undefined_hint("there is no parent block called " + repr_string(block.name) + ".");
  enter(*fn.scope, f);
  Out out(env_);
  exec_all(block.body, f, out);
  return out.take();
}

// There is no loader: only an empty list of names to include can be "missing".
void Interpreter::exec_include(const Node& n, Frame& f) {
  const Value name = eval(*n.a, f);
  env_.line = n.line;
  if (n.kind == Kind::kInclude && n.ignore_missing && name.is_seq() && name.items().empty()) return;
  raise(Exc::kType, "no loader for this environment specified");
}

// Blocks with a scope

Flow Interpreter::exec_filter_block(const Node& n, Frame& f, Out& out) {
  enter(*n.scope, f);
  Out inner(env_);
  const Flow flow = exec_all(n.body, f, inner);
  if (flow != Flow::kNext) return flow;
  const Value v = eval_filter(*n.a, f, finished(inner.take(), escapes(n.escape)));
  put_string(out, v);
  leave(*n.scope, f);
  return Flow::kNext;
}

Flow Interpreter::exec_with(const Node& n, Frame& f, Out& out) {
  enter(*n.scope, f);
  for (size_t i = 0; i < n.items.size(); ++i) assign(*n.items[i], eval(*n.values[i], f), f, false);
  const Flow flow = exec_all(n.body, f, out);
  if (flow == Flow::kNext) leave(*n.scope, f);
  return flow;
}

Flow Interpreter::exec_autoescape(const Node& n, Frame& f, Out& out) {
  enter(*n.scope, f);
  const bool outer = env_.autoescape;
  env_.autoescape = truthy(env_, eval(*n.a, f));
  const Flow flow = exec_all(n.body, f, out);
  env_.autoescape = outer;
  leave(*n.scope, f);
  return flow;
}

// Assignment

void Interpreter::check_namespaces(const Node& target, Frame& f) {
  if (target.kind == Kind::kNsRef) {
    const Value& v = slot(target.slot, f);
    if (!v.as<Namespace>()) raise(Exc::kRuntime, "cannot assign attribute on non-namespace object");
  }
  for (const auto& item : target.items) check_namespaces(*item, f);
}

void Interpreter::exec_assign(const Node& n, Frame& f) {
  check_namespaces(*n.target, f);
  Value v = eval(*n.a, f);
  env_.line = n.line;
  assign(*n.target, std::move(v), f, n.exported);
}

Flow Interpreter::exec_assign_block(const Node& n, Frame& f) {
  enter(*n.scope, f);
  Out inner(env_);
  const Flow flow = exec_all(n.body, f, inner);
  if (flow != Flow::kNext) return flow;
  Value v = finished(inner.take(), env_.autoescape && !n.a);
  if (n.a) v = eval_filter(*n.a, f, v);
  if (n.a && env_.autoescape) v = env_.markup(to_str(env_, v));
  env_.line = n.line;
  check_namespaces(*n.target, f);
  assign(*n.target, std::move(v), f, n.exported);
  leave(*n.scope, f);
  return Flow::kNext;
}

void Interpreter::assign(const Node& target, Value v, Frame& f, bool exported) {
  if (target.kind == Kind::kName) {
    if (exported) f.context->vars[target.name] = v;
    slot(target.slot, f) = std::move(v);
    return;
  }
  if (target.kind == Kind::kNsRef) {
    slot(target.slot, f).as<Namespace>()->set(env_, target.value.text(), std::move(v));
    return;
  }
  const std::vector<Value> parts = to_vector(env_, v);
  if (parts.size() != target.items.size())
    raise(Exc::kValue, (parts.size() < target.items.size() ? "not enough values to unpack (expected " : "too many values to unpack (expected ") +
                           std::to_string(target.items.size()) + ", got " + std::to_string(parts.size()) + ")");
  for (size_t i = 0; i < parts.size(); ++i) assign(*target.items[i], parts[i], f, exported);
}

}  // namespace transom::jinja
