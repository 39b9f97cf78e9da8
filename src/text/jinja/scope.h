// Where names live. jinja2 compiles a template to Python functions and works out, per block, which local variable each
// name is, what it starts as, and when it is forgotten (jinja2/idtracking.py and compiler.py). All of its scoping rules
// follow from that, so the same analysis is done here once, before any rendering: each name gets a slot of a function's
// frame, and each block the list of slots to load on entry.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "text/jinja/ast.h"

namespace transom::jinja {

struct Load {
  enum class Action : uint8_t { kParameter, kResolve, kAlias, kUndefined };
  Action action;
  int slot;          // in the frame of the function that the scope belongs to
  std::string name;  // kResolve: looked up in the context
  SlotRef alias;     // kAlias: copied from there
};

struct Scope {
  std::vector<Load> loads;
  std::vector<std::pair<std::string, SlotRef>> visible;  // of a scoped block: the names it takes along
};

// What jinja2 makes a Python function: the template, a block, a macro or call block, a recursive loop, a loop's filter.
struct Function {
  int slots = 0;
  bool captured = false;  // other functions are defined inside: its frame may outlive the call
  std::shared_ptr<Scope> scope;
  std::vector<int> parameters;                             // of a macro
  int caller = -1, kwargs = -1, varargs = -1;              // slots of the special parameters that the body uses
  bool uses_caller = false, explicit_caller = false;
  int self = -1, super = -1;                               // slots in templates and blocks
};

struct Resolved {
  std::shared_ptr<Function> root;
  std::vector<const Node*> blocks;  // each with its function
};

// Annotates the tree. Raises kSyntax with the line for what jinja2 refuses to compile: unknown filters and tests outside
// of conditions, break outside of loops, assigning to `loop`, a block defined twice.
Resolved resolve(Node& root);

}  // namespace transom::jinja
