// The syntax tree. One struct serves all nodes: what a child means is said beside its kind. The tree's depth is bounded
// when it is built, so walking and destroying it needs no further guard. resolve() (scope.h) adds where each name lives.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "text/jinja/number.h"
#include "text/jinja/value.h"

namespace transom::jinja {

enum class Kind : uint8_t {
  // expressions
  kConst,      // value
  kName,       // name, context, slot
  kNsRef,      // name.attribute as an assignment target; slot; value = the attribute's name
  kTuple, kList,
  kDict,       // items: key, value, key, value …
  kCondExpr,   // test, a, b (may be null)
  kFilter,     // a (null in filter blocks), name, call
  kTest,       // a, name, call
  kCall,       // a, call
  kGetattr,    // a, value = the name
  kGetitem,    // a, b
  kSlice,      // a, b, c (each may be null): only as b of kGetitem
  kConcat,     // items
  kCompare,    // a, items with ops
  kBinary,     // a arith b
  kAnd, kOr,   // a, b
  kNot, kNeg, kPos,  // a
  // statements
  kOutput,     // items, each an expression or kData
  kData,       // value
  kFor,        // target, a = iterable, body, orelse, test, recursive
  kIf,         // test, body, items = elif kIf nodes, orelse
  kMacro,      // name, params, defaults, body
  kCallBlock,  // a = the call (null: a generation block), params, defaults, body
  kFilterBlock,  // body, a = filter
  kWith,       // items = targets, values = values, body
  kBlock,      // name, body, scoped, required
  kExtends, kInclude, kImport, kFromImport,  // a = template; name; names
  kAssign,     // target, a
  kAssignBlock,  // target, a = filter (may be null), body
  kAutoescape, // a = option, body
  kBreak, kContinue,
  kTemplate,   // body
};

enum class Context : uint8_t { kLoad, kStore, kParam };
enum class Escape : uint8_t { kOff, kOn, kRuntime };

struct Node;
using NodePtr = std::unique_ptr<Node>;

struct CallArgs {
  std::vector<NodePtr> positional;
  std::vector<std::pair<std::string, NodePtr>> named;
  NodePtr star, star_star;
};

// Where a name lives: `hops` functions outwards, in `slot`.
struct SlotRef {
  int hops = 0, slot = -1;
};

struct Scope;
struct Function;

struct Node {
  Node(Kind k, int l) : kind(k), line(l) {}
  Kind kind;
  Context context = Context::kLoad;
  Arith arith = Arith::kAdd;
  Escape escape = Escape::kOff;  // kOutput, kConcat, kFilterBlock: what autoescape says here
  bool recursive = false, scoped = false, required = false, ignore_missing = false;
  bool parameter = false;  // kName: a loop's, macro's or with block's variable, which Python reads without asking if it is set
  bool exported = false;  // kAssign, kAssignBlock, kMacro: at top level, so that the names also go to the context
  int line, depth = 1;
  std::string name;
  Value value;
  NodePtr a, b, c, test, target;
  std::vector<NodePtr> items, values, body, orelse, defaults;
  std::vector<std::string> ops, params, names;
  std::unique_ptr<CallArgs> call;
  SlotRef slot;
  // Set by resolve(): scopes to enter, and the functions that a macro, a recursive loop or a loop filter is.
  std::shared_ptr<Scope> scope, else_scope;
  std::shared_ptr<Function> function, filter_function;
};

constexpr int kMaxTreeDepth = 300;
// Recomputes the depth of a node whose children are complete; raises kSyntax when it is too much.
void check_depth(Node& node);
// Calls f on each child, in the order in which jinja2 walks a node's fields.
template <class F>
void for_each_child(const Node& n, F f);

template <class F>
void for_each_child(const Node& n, F f) {
  const auto one = [&](const NodePtr& p) {
    if (p) f(*p);
  };
  const auto all = [&](const std::vector<NodePtr>& v) {
    for (const auto& p : v) one(p);
  };
  switch (n.kind) {
    case Kind::kFor: one(n.target), one(n.a), all(n.body), all(n.orelse), one(n.test); break;
    case Kind::kIf: one(n.test), all(n.body), all(n.items), all(n.orelse); break;
    case Kind::kFilterBlock: all(n.body), one(n.a); break;
    case Kind::kWith: all(n.items), all(n.values), all(n.body); break;
    case Kind::kAssign: one(n.target), one(n.a); break;
    case Kind::kAssignBlock: one(n.target), one(n.a), all(n.body); break;
    case Kind::kCondExpr: one(n.test), one(n.a), one(n.b); break;
    case Kind::kMacro:
    case Kind::kCallBlock: one(n.a), all(n.items), all(n.defaults), all(n.body); break;  // items: the parameters as names
    default: one(n.a), one(n.b), one(n.c), all(n.items), all(n.body); break;
  }
  if (n.call) {
    all(n.call->positional);
    for (const auto& kw : n.call->named) one(kw.second);
    one(n.call->star), one(n.call->star_star);
  }
}

}  // namespace transom::jinja
