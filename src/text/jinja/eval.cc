// Expressions: see interpreter.h.
#include <algorithm>

#include "text/jinja/builtins.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/ops.h"
#include "text/jinja/repr.h"

namespace transom::jinja {

Value Interpreter::eval(const Node& n, Frame& f) {
  env_.step();
  if (n.kind == Kind::kConst) return n.value;
  if (n.kind == Kind::kName) return eval_name(n, f);
  const DepthGuard guard(env_);
  switch (n.kind) {
    case Kind::kTuple:
    case Kind::kList: return eval_items(n, f);
    case Kind::kDict: return eval_dict(n, f);
    case Kind::kCondExpr: return eval_condition(n, f);
    case Kind::kFilter: return eval_filter(n, f);
    case Kind::kTest: return eval_test(n, f);
    case Kind::kCall: return eval_call(n, f);
    case Kind::kGetattr: {
      const Value v = eval(*n.a, f);
      env_.line = n.line;
      return get_attribute(env_, v, n.value);
    }
    case Kind::kGetitem: return eval_getitem(n, f);
    case Kind::kConcat: return eval_concat(n, f);
    case Kind::kCompare: return eval_compare(n, f);
    case Kind::kBinary: {
      const Value a = eval(*n.a, f), b = eval(*n.b, f);
      env_.line = n.line;
      return binary(env_, n.arith, a, b);
    }
    case Kind::kAnd: {
      Value a = eval(*n.a, f);
      return truthy(env_, a) ? eval(*n.b, f) : a;
    }
    case Kind::kOr: {
      Value a = eval(*n.a, f);
      return truthy(env_, a) ? a : eval(*n.b, f);
    }
    case Kind::kNot: return Value::boolean(!truthy(env_, eval(*n.a, f)));
    case Kind::kNeg: return unary_minus(env_, eval(*n.a, f));
    case Kind::kPos: return unary_plus(env_, eval(*n.a, f));
    default: raise(Exc::kRuntime, "expected an expression");
  }
}

Value Interpreter::eval_name(const Node& n, Frame& f) {
  const Value& v = slot(n.slot, f);
  if (!v.is_missing()) return v;
  // a closure that outlived its loop sees Python's sentinel
  return n.parameter ? make_object<MissingMark>(env_) : env_.undefined_name(n.name);
}

Value Interpreter::eval_items(const Node& n, Frame& f) {
  std::vector<Value> items;
  items.reserve(n.items.size());
  for (const auto& i : n.items) items.push_back(eval(*i, f));
  return n.kind == Kind::kList ? env_.list(std::move(items)) : env_.tuple(std::move(items));
}

Value Interpreter::eval_dict(const Node& n, Frame& f) {
  DictMaker m(env_);
  for (size_t i = 0; i + 1 < n.items.size(); i += 2) {
    const Value key = eval(*n.items[i], f);
    m.set(key, eval(*n.items[i + 1], f));
  }
  return m.take();
}

Value Interpreter::eval_condition(const Node& n, Frame& f) {
  if (truthy(env_, eval(*n.test, f))) return eval(*n.a, f);
  if (n.b) return eval(*n.b, f);
  return env_.undefined_hint("the inline if-expression on line " + std::to_string(n.line) +
                             " evaluated to false and no else section was defined.");
}

Value Interpreter::eval_concat(const Node& n, Frame& f) {
  std::vector<Value> parts;
  bool markup = false;
  for (const auto& i : n.items) {
    parts.push_back(eval(*i, f));
    markup = markup || (parts.back().is_str() && parts.back().str().markup);
  }
  markup = markup && escapes(n.escape);
  std::string out;
  for (const Value& v : parts) {
    out += markup ? escaped(env_, v) : to_str(env_, v);
    env_.check_size(out.size());
  }
  env_.work(out.size());
  return env_.str(std::move(out), markup);
}

bool Interpreter::compare(const std::string& op, const Value& a, const Value& b) {
  if (op == "==") return a.same(b) ? !a.is(Type::kFloat) || equal(a, b) : equal_counted(env_, a, b);
  if (op == "!=") return !equal_counted(env_, a, b);
  if (op == "in") return contains(env_, b, a);
  if (op == "not in") return !contains(env_, b, a);
  if (op == "<") return ordered(env_, '<', a, b);
  if (op == "<=") return ordered(env_, 'l', a, b);
  return ordered(env_, op == ">" ? '>' : 'g', a, b);
}

Value Interpreter::eval_compare(const Node& n, Frame& f) {
  Value left = eval(*n.a, f);
  for (size_t i = 0; i < n.items.size(); ++i) {
    Value right = eval(*n.items[i], f);
    env_.line = n.line;
    if (!compare(n.ops[i], left, right)) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

Value Interpreter::eval_getitem(const Node& n, Frame& f) {
  const Value v = eval(*n.a, f);
  if (n.b->kind == Kind::kSlice) {
    const auto part = [&](const NodePtr& p) { return p ? eval(*p, f) : Value(); };
    const Value start = part(n.b->a), stop = part(n.b->b), step = part(n.b->c);
    env_.line = n.line;
    return slice(env_, v, start, stop, step);
  }
  if (n.b->kind == Kind::kConst) {
    env_.line = n.line;
    return get_item(env_, v, n.b->value);
  }
  const Value key = eval(*n.b, f);
  env_.line = n.line;
  return get_item(env_, v, key);
}

void Interpreter::eval_args(const CallArgs& call, Frame& f, Args& args) {
  for (const auto& p : call.positional) args.positional.push_back(eval(*p, f));
  for (const auto& [name, node] : call.named) args.named.emplace_back(name, eval(*node, f));
  if (call.star)
    for (Value& v : to_vector(env_, eval(*call.star, f))) args.positional.push_back(std::move(v));
  if (!call.star_star) return;
  const Value more = eval(*call.star_star, f);
  if (!more.is(Type::kDict)) raise(Exc::kType, "argument after ** must be a mapping, not " + type_name(more));
  for (const auto& [k, v] : more.dict().entries) {
    if (!k.is_str()) raise(Exc::kType, "keywords must be strings");
    for (const auto& kw : args.named)
      if (kw.first == k.text()) raise(Exc::kType, "got multiple values for keyword argument '" + k.text() + "'");
    args.named.emplace_back(k.text(), v);
  }
}

Value Interpreter::eval_call(const Node& n, Frame& f, const Value& caller) {
  const Value function = eval(*n.a, f);
  Args args;
  eval_args(*n.call, f, args);
  if (!caller.is_missing()) args.named.emplace_back("caller", caller);
  env_.line = n.line;
  return call(env_, function, args);
}

Value Interpreter::eval_filter(const Node& n, Frame& f, const Value& input) {
  Args args;
  args.positional.push_back(n.a ? (input.is_missing() ? eval(*n.a, f) : eval_filter(*n.a, f, input)) : input);
  eval_args(*n.call, f, args);
  env_.line = n.line;
  const Filter filter = find_filter(n.name);
  if (!filter) raise(Exc::kRuntime, "No filter named '" + n.name + "' found.");
  return filter(env_, args);
}

Value Interpreter::eval_test(const Node& n, Frame& f) {
  Args args;
  args.positional.push_back(eval(*n.a, f));
  eval_args(*n.call, f, args);
  env_.line = n.line;
  const Test test = find_test(n.name);
  if (!test) raise(Exc::kRuntime, "No test named '" + n.name + "' found.");
  return Value::boolean(test(env_, args));
}

}  // namespace transom::jinja
