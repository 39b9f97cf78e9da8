// Runs a resolved template: statements write to an output, expressions give values. One Interpreter serves one rendering.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/env.h"
#include "text/jinja/objects.h"
#include "text/jinja/scope.h"

namespace transom::jinja {

// Template variables: what was assigned at top level, over what the caller gave; for a scoped block over a snapshot.
struct ContextVars {
  std::unordered_map<std::string, Value> vars, locals;
  const ContextVars* base = nullptr;
  Value find(const std::string& name) const;  // missing
};

// The local variables of one call of a function.
struct Frame {
  std::vector<Value> slots;
  Frame* outer = nullptr;
  ContextVars* context = nullptr;
};

// Text under construction, charged to the heap as it grows.
class Out {
 public:
  explicit Out(Env& env) : env_(env) {}
  ~Out() { env_.heap.release(charged_); }
  Out(const Out&) = delete;
  void put(std::string_view s) {
    if (text_.size() + s.size() > charged_) reserve(s.size());
    text_ += s;
  }
  std::string take() { return std::move(text_); }

 private:
  void reserve(size_t more);
  Env& env_;
  std::string text_;
  size_t charged_ = 0;
};

enum class Flow : uint8_t { kNext, kBreak, kContinue };

class Interpreter {
 public:
  Interpreter(Env& env, const Resolved& resolved) : env_(env), resolved_(resolved) {}
  // Renders the template with the variables given.
  std::string run(const Node& root, std::unordered_map<std::string, Value> variables);

  // Used by the objects that templates call.
  std::string call_macro(const Node& node, Frame* closure, std::vector<Value> arguments);
  std::string render_block(const Node& block, ContextVars& context);
  std::string render_loop(const Node& node, Frame& outer, const Value& iterable, int64_t depth);
  Env& env() { return env_; }
  const Resolved& resolved() const { return resolved_; }
  bool next_filtered(const Node& node, Frame& frame, const Value& source, Value& out);

 private:
  // Statements (interpreter.cc)
  Flow exec_all(const std::vector<NodePtr>& nodes, Frame& f, Out& out);
  Flow exec(const Node& n, Frame& f, Out& out);
  void output(const Node& n, Frame& f, Out& out);
  Flow exec_if(const Node& n, Frame& f, Out& out);
  Flow exec_for(const Node& n, Frame& f, Out& out);
  Flow loop(const Node& n, Frame& f, const Value& iterable, const Value& recursion_depth, Frame* recursion_outer, Out& out);
  Flow pass(const Node& n, Frame& f, Value item, const Value& loop_object, Out& out);
  void define_macro(const Node& n, Frame& f);
  void exec_call_block(const Node& n, Frame& f, Out& out);
  Flow exec_filter_block(const Node& n, Frame& f, Out& out);
  Flow exec_with(const Node& n, Frame& f, Out& out);
  Flow exec_autoescape(const Node& n, Frame& f, Out& out);
  void exec_block(const Node& n, Frame& f, Out& out);
  void exec_include(const Node& n, Frame& f);
  void exec_assign(const Node& n, Frame& f);
  Flow exec_assign_block(const Node& n, Frame& f);
  void check_namespaces(const Node& target, Frame& f);
  void assign(const Node& target, Value v, Frame& f, bool exported);
  void enter(const Scope& scope, Frame& f);
  void leave(const Scope& scope, Frame& f);
  Value make_macro(const Node& n, Frame& f);
  Value& slot(const SlotRef& ref, Frame& f);
  Frame& new_frame(const Function& function, Frame* outer, ContextVars* context, Frame& local);
  bool escapes(Escape e) const { return e == Escape::kOn || (e == Escape::kRuntime && env_.autoescape); }
  static void put_string(Out& out, const Value& v);
  Value finished(std::string text, bool markup) { return env_.str(std::move(text), markup); }

  // Expressions (eval.cc)
  Value eval(const Node& n, Frame& f);
  Value eval_name(const Node& n, Frame& f);
  Value eval_items(const Node& n, Frame& f);
  Value eval_dict(const Node& n, Frame& f);
  Value eval_condition(const Node& n, Frame& f);
  Value eval_concat(const Node& n, Frame& f);
  Value eval_compare(const Node& n, Frame& f);
  Value eval_getitem(const Node& n, Frame& f);
  Value eval_call(const Node& n, Frame& f, const Value& caller = {});
  Value eval_filter(const Node& n, Frame& f, const Value& input = {});
  Value eval_test(const Node& n, Frame& f);
  void eval_args(const CallArgs& call, Frame& f, Args& args);
  bool compare(const std::string& op, const Value& a, const Value& b);

  Env& env_;
  const Resolved& resolved_;
  std::vector<std::unique_ptr<ContextVars>> contexts_;
};

// A template macro, or the caller of a call block.
struct Macro : Object {
  Macro(Heap* heap, Interpreter& i, const Node& n, Frame* c) : Object(heap, 96), interpreter(i), node(n), closure(c) {}
  std::string type_name() const override { return "Macro"; }
  std::string repr(Env& env) override;
  bool callable() const override { return true; }
  Value call(Env& env, Args& args) override;
  Value attribute(Env& env, std::string_view name) override;
  Interpreter& interpreter;
  const Node& node;
  Frame* closure;

 private:
  void bind_special(Env& env, Args& args, bool found_caller, std::vector<Value>& arguments);
};

// `self` in a template that has blocks.
struct SelfReference : Object {
  SelfReference(Heap* heap, Interpreter& i, ContextVars* c) : Object(heap, 64), interpreter(i), context(c) {}
  std::string type_name() const override { return "TemplateReference"; }
  Value item(Env& env, const Value& key) override;
  bool has_getitem() const override { return true; }
  Interpreter& interpreter;
  ContextVars* context;
};

struct BlockReference : Object {
  BlockReference(Heap* heap, Interpreter& i, const Node& b, ContextVars* c)
      : Object(heap, 64), interpreter(i), block(b), context(c) {}
  std::string type_name() const override { return "BlockReference"; }
  bool callable() const override { return true; }
  Value call(Env& env, Args& args) override;
  Value attribute(Env& env, std::string_view name) override;
  Interpreter& interpreter;
  const Node& block;
  ContextVars* context;
};

// `loop`.
struct LoopContext : Object {
  LoopContext(Heap* heap, Env& env, const Value& iterable, int64_t depth);
  std::string type_name() const override { return "LoopContext"; }
  std::string repr(Env& env) override;
  Value attribute(Env& env, std::string_view name) override;
  bool callable() const override { return true; }
  Value call(Env& env, Args& args) override;
  int64_t length(Env& env) override;
  bool advance(Env& env, Value& out);

  // Set for recursive loops: what renders the loop over another iterable.
  Interpreter* interpreter = nullptr;
  const Node* node = nullptr;
  Frame* outer = nullptr;

 private:
  const Value& peek(Env& env);
  Value changed(Env& env, const Value& now);
  Value iterable_, iterator_, before_, current_, after_, last_changed_;
  int64_t index0_ = -1, depth0_, length_ = -1;
};

}  // namespace transom::jinja
