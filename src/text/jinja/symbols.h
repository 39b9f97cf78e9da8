// The names of one block while resolve() works: which are its own, how they start (jinja2/idtracking.py, restated).
#pragma once

#include <map>
#include <set>
#include <string>

#include "text/jinja/ast.h"
#include "text/jinja/scope.h"

namespace transom::jinja {

struct FunctionBuilder {
  FunctionBuilder* outer = nullptr;
  int depth = 0;
  std::shared_ptr<Function> function = std::make_shared<Function>();
  std::map<std::pair<int, std::string>, int> slots;  // (level, name)
  int slot(int level, const std::string& name);
};

struct Symbols {
  struct Entry {
    Load::Action action;
    int outer_level = 0;  // kAlias
  };
  int level = 0;
  Symbols* parent = nullptr;
  FunctionBuilder* function = nullptr;
  std::map<std::string, Entry> loads;  // of each name that this block has a variable for
  std::set<std::string> stores;

  Symbols() = default;
  Symbols(Symbols* p, FunctionBuilder* f) : level(p->level + 1), parent(p), function(f) {}
  const Symbols* find(const std::string& name) const;  // the block that holds the name; null
  void store(const std::string& name);
  void load(const std::string& name);
  void declare_parameter(const std::string& name);
};

// Which of a node's names belong to its block (jinja2's RootVisitor and FrameSymbolVisitor).
class SymbolAnalysis {
 public:
  explicit SymbolAnalysis(size_t& work) : work_(work) {}
  enum class Branch : uint8_t { kBody, kElse, kTest };
  void analyze(Symbols& symbols, const Node& node, Branch branch = Branch::kBody);

 private:
  void visit(Symbols& s, const Node& n, bool as_parameter = false);
  void visit_children(Symbols& s, const Node& n, bool as_parameter = false);
  void visit_if(Symbols& s, const Node& n);
  size_t& work_;
};

}  // namespace transom::jinja
