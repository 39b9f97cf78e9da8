// Symbol analysis: see symbols.h.
#include "text/jinja/symbols.h"

#include <vector>

namespace transom::jinja {

int FunctionBuilder::slot(int level, const std::string& name) {
  const auto [it, fresh] = slots.try_emplace({level, name}, function->slots);
  if (fresh) ++function->slots;
  return it->second;
}

const Symbols* Symbols::find(const std::string& name) const {
  for (const Symbols* s = this; s; s = s->parent)
    if (s->loads.contains(name)) return s;
  return nullptr;
}

void Symbols::store(const std::string& name) {
  stores.insert(name);
  if (loads.contains(name)) return;
  const Symbols* outer = parent ? parent->find(name) : nullptr;
  loads[name] = outer ? Entry{Load::Action::kAlias, outer->level} : Entry{Load::Action::kUndefined};
}

void Symbols::load(const std::string& name) {
  if (!find(name)) loads[name] = {Load::Action::kResolve};
}

void Symbols::declare_parameter(const std::string& name) {
  stores.insert(name);
  loads[name] = {Load::Action::kParameter};
}

void SymbolAnalysis::analyze(Symbols& s, const Node& n, Branch branch) {
  const auto all = [&](const std::vector<NodePtr>& nodes) {
    for (const auto& c : nodes) visit(s, *c);
  };
  switch (n.kind) {
    case Kind::kFor:
      if (branch != Branch::kElse) visit(s, *n.target, true);
      if (branch == Branch::kTest) visit(s, *n.test);
      else all(branch == Branch::kBody ? n.body : n.orelse);
      return;
    case Kind::kAssignBlock: return all(n.body);
    case Kind::kCallBlock: all(n.items), all(n.defaults), all(n.body); return;
    case Kind::kWith: all(n.items), all(n.body); return;
    case Kind::kAutoescape: visit(s, *n.a), all(n.body); return;
    default: visit_children(s, n);
  }
}

void SymbolAnalysis::visit_children(Symbols& s, const Node& n, bool as_parameter) {
  for_each_child(n, [&](const Node& c) { visit(s, c, as_parameter); });
}

void SymbolAnalysis::visit(Symbols& s, const Node& n, bool as_parameter) {
  switch (n.kind) {
    case Kind::kName:
      if (as_parameter || n.context == Context::kParam) s.declare_parameter(n.name);
      else if (n.context == Context::kStore) s.store(n.name);
      else s.load(n.name);
      return;
    case Kind::kNsRef: return s.load(n.name);
    case Kind::kIf: return visit_if(s, n);
    case Kind::kMacro: return s.store(n.name);
    case Kind::kImport:
    case Kind::kFromImport:
      visit(s, *n.a);
      for (const auto& name : n.names) s.store(name);
      return;
    case Kind::kAssign: visit(s, *n.a), visit(s, *n.target); return;
    case Kind::kFor: return visit(s, *n.a);
    case Kind::kCallBlock:
    case Kind::kFilterBlock:
      if (n.a) visit(s, *n.a);
      return;
    case Kind::kWith:
      for (const auto& v : n.values) visit(s, *v);
      return;
    case Kind::kAssignBlock: return visit(s, *n.target);
    case Kind::kAutoescape:
    case Kind::kBlock: return;
    default: visit_children(s, n, as_parameter);
  }
}

// The branches of a condition are analysed apart; a name stored in one of them starts as what it is outside.
void SymbolAnalysis::visit_if(Symbols& s, const Node& n) {
  visit(s, *n.test);
  work_ += 1 + s.loads.size() * 3;
  constexpr size_t kMaxWork = 20'000'000;
  if (work_ > kMaxWork) throw PyError{Exc::kSyntax, "expected fewer names and conditions in one template", n.line};
  const auto branch = [&](const std::vector<NodePtr>& nodes) {
    Symbols copy = s;
    for (const auto& c : nodes) visit(copy, *c);
    return copy;
  };
  const Symbols branches[] = {branch(n.body), branch(n.items), branch(n.orelse)};
  std::set<std::string> stores;
  for (const Symbols& b : branches)
    for (const std::string& name : b.stores)
      if (!s.stores.contains(name)) stores.insert(name);
  for (const Symbols& b : branches) {
    for (const auto& [name, entry] : b.loads) s.loads[name] = entry;
    s.stores.insert(b.stores.begin(), b.stores.end());
  }
  for (const std::string& name : stores) {
    const Symbols* outer = s.parent ? s.parent->find(name) : nullptr;
    s.loads[name] = outer ? Symbols::Entry{Load::Action::kAlias, outer->level} : Symbols::Entry{Load::Action::kResolve};
  }
}

}  // namespace transom::jinja
