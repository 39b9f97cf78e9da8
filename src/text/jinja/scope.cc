// Slots for names: see scope.h. The walk follows jinja2's CodeGenerator.
#include "text/jinja/scope.h"

#include <algorithm>
#include <set>

#include "text/jinja/builtins.h"
#include "text/jinja/symbols.h"

namespace transom::jinja {
namespace {

[[noreturn]] void refuse(const Node& n, std::string message) { throw PyError{Exc::kSyntax, std::move(message), n.line}; }

// The names among `wanted` that are read before anything in these nodes assigns them.
class Undeclared {
 public:
  explicit Undeclared(std::set<std::string> wanted) : wanted_(std::move(wanted)) {}
  void visit(const Node& n) {
    if (found == wanted_ && !found.empty()) return;
    if (n.kind == Kind::kBlock) return;
    if (n.kind == Kind::kName) {
      if (n.context == Context::kLoad && wanted_.contains(n.name)) found.insert(n.name);
      else wanted_.erase(n.name);
      return;
    }
    for_each_child(n, [&](const Node& c) { visit(c); });
  }
  std::set<std::string> found;

 private:
  std::set<std::string> wanted_;
};

std::set<std::string> undeclared(const std::vector<NodePtr>& nodes, std::set<std::string> names) {
  Undeclared u(std::move(names));
  for (const auto& n : nodes) u.visit(*n);
  return u.found;
}

template <class F>
void walk(const Node& n, const F& f) {
  f(n);
  for_each_child(n, [&](const Node& c) { walk(c, f); });
}

NodePtr clone_target(const Node& n) {
  auto copy = std::make_unique<Node>(n.kind, n.line);
  copy->name = n.name, copy->context = n.context;
  for (const auto& i : n.items) copy->items.push_back(clone_target(*i));
  return copy;
}

// A block's state in the walk (jinja2's Frame).
struct Place {
  Symbols* symbols;
  bool toplevel = false, soft = false, in_loop = false;
  Place inner(Symbols* s) const { return {s, false, false, in_loop}; }
};

class Resolver {
 public:
  Resolved run(Node& root) {
    walk(root, [&](const Node& n) {
      if (n.kind != Kind::kBlock) return;
      for (const Node* other : out_.blocks)
        if (other->name == n.name) refuse(n, "block '" + n.name + "' defined twice");
      out_.blocks.push_back(&n);
    });
    out_.root = unit(root, {"self"}, true);
    // blocks are functions of their own, beside the template's
    for (const Node* b : out_.blocks) {
      Node& block = const_cast<Node&>(*b);
      block.function = unit(block, {"self", "super"}, false);
    }
    return std::move(out_);
  }

 private:
  // A template or block: a function without an outer one.
  std::shared_ptr<Function> unit(Node& n, std::set<std::string> special, bool toplevel) {
    FunctionBuilder builder;
    Symbols symbols;
    symbols.function = &builder;
    for (const std::string& name : undeclared(n.body, special)) {
      symbols.declare_parameter(name);
      (name == "self" ? builder.function->self : builder.function->super) = builder.slot(0, name);
    }
    analysis_.analyze(symbols, n);
    const Place place{&symbols, toplevel};
    builder.function->scope = make_scope(symbols);
    visit_all(n.body, place);
    return builder.function;
  }

  SlotRef ref(const Node& n, const Symbols& from, const std::string& name) {
    const Symbols* owner = from.find(name);
    if (!owner) refuse(n, "Tried to resolve a name to a reference that was unknown to the frame ('" + name + "')");
    return {from.function->depth - owner->function->depth, owner->function->slot(owner->level, name)};
  }

  std::shared_ptr<Scope> make_scope(Symbols& s) {
    auto scope = std::make_shared<Scope>();
    for (const auto& [name, entry] : s.loads) {
      Load load{entry.action, s.function->slot(s.level, name), name, {}};
      if (entry.action == Load::Action::kAlias) {
        const Symbols* outer = s.parent;
        while (outer->level != entry.outer_level) outer = outer->parent;
        load.alias = {s.function->depth - outer->function->depth, outer->function->slot(outer->level, name)};
      }
      scope->loads.push_back(std::move(load));
    }
    return scope;
  }

  FunctionBuilder nested(const Place& p) {
    FunctionBuilder b;
    b.outer = p.symbols->function;
    b.depth = b.outer->depth + 1;
    b.outer->function->captured = true;
    return b;
  }

  void visit_all(const std::vector<NodePtr>& nodes, const Place& p) {
    for (const auto& n : nodes) visit(*n, p);
  }
  void visit_maybe(const NodePtr& n, const Place& p) {
    if (n) visit(*n, p);
  }

  void visit(Node& n, const Place& p) {
    switch (n.kind) {
      case Kind::kName:
      case Kind::kNsRef:
        n.slot = ref(n, *p.symbols, n.name);
        n.parameter = !in_defaults_ && p.symbols->find(n.name)->loads.at(n.name).action == Load::Action::kParameter;
        return;
      case Kind::kFor: return visit_for(n, p);
      case Kind::kIf: return visit_if(n, p);
      case Kind::kMacro:
        visit_macro(n, p);
        n.exported = p.toplevel;
        n.slot = ref(n, *p.symbols, n.name);
        return;
      case Kind::kCallBlock:
        visit_macro(n, p);
        return visit_maybe(n.a, p);
      case Kind::kFilterBlock:
      case Kind::kWith:
      case Kind::kAutoescape: return visit_scoped(n, p);
      case Kind::kBlock: return visit_block(n, p);
      case Kind::kExtends:
        if (!p.toplevel) refuse(n, "cannot use extend from a non top-level scope");
        return visit(*n.a, p);
      case Kind::kAssign:
        n.exported = p.toplevel;
        visit(*n.a, p);
        return visit(*n.target, p);
      case Kind::kAssignBlock: return visit_assign_block(n, p);
      case Kind::kBreak:
      case Kind::kContinue:
        if (!p.in_loop) refuse(n, std::string(n.kind == Kind::kBreak ? "'break' outside loop" : "'continue' not properly in loop"));
        return;
      case Kind::kCondExpr: {
        Place soft = p;
        soft.soft = true;
        return visit_children(n, soft);
      }
      case Kind::kFilter:
      case Kind::kTest:
        if (!p.soft && !(n.kind == Kind::kFilter ? find_filter(n.name) != nullptr : find_test(n.name) != nullptr))
          refuse(n, std::string("No ") + (n.kind == Kind::kFilter ? "filter" : "test") + " named '" + n.name + "'.");
        return visit_children(n, p);
      default:
        n.escape = escape_;
        return visit_children(n, p);
    }
  }

  void visit_children(Node& n, const Place& p) {
    for_each_child(n, [&](const Node& c) { visit(const_cast<Node&>(c), p); });
  }

  void visit_if(Node& n, const Place& p) {
    Place soft = p;
    soft.soft = true;
    visit(*n.test, soft);
    visit_all(n.body, soft);
    for (const auto& branch : n.items) {
      visit(*branch->test, soft);
      visit_all(branch->body, soft);
    }
    visit_all(n.orelse, soft);
  }

  void visit_for(Node& n, const Place& p) {
    bool extended = n.recursive || !undeclared(n.body, {"loop"}).empty();
    walk(n, [&](const Node& c) {
      extended = extended || (c.kind == Kind::kBlock && c.scoped);
      if (c.kind == Kind::kName && c.context == Context::kStore && c.name == "loop")
        refuse(c, "Can't assign to special loop variable in for-loop target");
    });
    FunctionBuilder recursion, filter;
    FunctionBuilder* body_function = p.symbols->function;
    if (n.recursive) recursion = nested(p), body_function = &recursion;
    Symbols body(p.symbols, body_function), orelse(p.symbols, body_function);
    if (extended) body.declare_parameter("loop");
    analysis_.analyze(body, n, SymbolAnalysis::Branch::kBody);
    analysis_.analyze(orelse, n, SymbolAnalysis::Branch::kElse);
    if (n.test) {
      // the filter stands outside the loop's own function, and so do its names
      filter = nested(p);
      Symbols test(p.symbols, &filter);
      analysis_.analyze(test, n, SymbolAnalysis::Branch::kTest);
      filter.function->scope = make_scope(test);
      n.b = clone_target(*n.target);
      const Place place = p.inner(&test);
      visit(*n.b, place);
      visit(*n.test, place);
      n.filter_function = filter.function;
    }
    Place place = p.inner(&body);
    place.in_loop = true;
    visit(*n.a, p);
    visit(*n.target, place);
    if (extended) n.slot = ref(n, body, "loop");
    n.scope = make_scope(body);
    visit_all(n.body, place);
    Place else_place = p.inner(&orelse);
    else_place.in_loop = p.in_loop && !n.recursive;
    n.else_scope = make_scope(orelse);
    visit_all(n.orelse, else_place);
    if (n.recursive) n.function = recursion.function;
  }

  void visit_macro(Node& n, const Place& p) {
    FunctionBuilder builder = nested(p);
    Symbols s(p.symbols, &builder);
    Function& f = *builder.function;
    analysis_.analyze(s, n);
    const std::set<std::string> special = undeclared(n.body, {"caller", "kwargs", "varargs"});
    const auto parameter = std::find(n.params.begin(), n.params.end(), "caller");
    f.explicit_caller = parameter != n.params.end();
    if (special.contains("caller")) {
      f.uses_caller = true;
      const auto index = static_cast<size_t>(parameter - n.params.begin());
      if (!f.explicit_caller) s.declare_parameter("caller");
      else if (index + n.defaults.size() < n.params.size())
        refuse(n, "When defining macros or call blocks the special \"caller\" argument must be omitted or be given a default.");
    }
    for (const char* name : {"kwargs", "varargs"})
      if (special.contains(name) && std::find(n.params.begin(), n.params.end(), name) == n.params.end()) {
        s.declare_parameter(name);
        (std::string_view(name) == "kwargs" ? f.kwargs : f.varargs) = builder.slot(s.level, name);
      }
    analysis_.analyze(s, n);
    for (const std::string& name : n.params) f.parameters.push_back(builder.slot(s.level, name));
    if (f.uses_caller && !f.explicit_caller) {
      s.declare_parameter("caller");
      f.caller = builder.slot(s.level, "caller");
    }
    f.scope = make_scope(s);
    const Place place{&s};
    in_defaults_ = true;
    visit_all(n.defaults, place);
    in_defaults_ = false;
    visit_all(n.body, place);
    n.function = builder.function;
  }

  // filter, with and autoescape blocks: a scope in the same function.
  void visit_scoped(Node& n, const Place& p) {
    Symbols s(p.symbols, p.symbols->function);
    analysis_.analyze(s, n);
    n.scope = make_scope(s);
    const Place place = p.inner(&s);
    n.escape = escape_;
    const Escape outer = escape_;
    if (n.kind == Kind::kWith) {
      visit_all(n.items, place);
      visit_all(n.values, p);
    } else {
      visit(*n.a, place);
    }
    if (n.kind == Kind::kAutoescape) {
      const bool known = n.a->kind == Kind::kConst && n.a->value.is(Type::kBool);
      escape_ = !known ? Escape::kRuntime : n.a->value.is_true() ? Escape::kOn : Escape::kOff;
    }
    visit_all(n.body, place);
    escape_ = outer;
  }

  void visit_assign_block(Node& n, const Place& p) {
    Symbols s(p.symbols, p.symbols->function);
    analysis_.analyze(s, n);
    n.scope = make_scope(s);
    const Place place = p.inner(&s);
    visit_all(n.body, place);
    n.exported = p.toplevel;
    visit(*n.target, p);
    visit_maybe(n.a, place);
  }

  void visit_block(Node& n, const Place& p) {
    n.scope = std::make_shared<Scope>();
    if (!n.scoped) return;
    std::set<std::string> seen;
    for (const Symbols* s = p.symbols; s; s = s->parent)
      for (const std::string& name : s->stores)
        if (seen.insert(name).second) n.scope->visible.emplace_back(name, ref(n, *p.symbols, name));
  }

  Resolved out_;
  size_t work_ = 0;
  SymbolAnalysis analysis_{work_};
  Escape escape_ = Escape::kOff;
  bool in_defaults_ = false;
};

}  // namespace

Resolved resolve(Node& root) { return Resolver().run(root); }

}  // namespace transom::jinja
