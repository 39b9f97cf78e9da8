// Statements: see parser.h.
#include "text/jinja/parser.h"

#include <algorithm>

namespace transom::jinja {
namespace {

constexpr int kMaxNesting = 150;

std::string shown(const Token& t) {
  switch (t.type) {
    case Tok::kEof: return "end of template";
    case Tok::kData: return "template data / text";
    case Tok::kVariableBegin: return "begin of print statement";
    case Tok::kVariableEnd: return "end of print statement";
    case Tok::kBlockBegin: return "begin of statement block";
    case Tok::kBlockEnd: return "end of statement block";
    case Tok::kString: return "string";
    case Tok::kInteger: return "integer";
    case Tok::kFloat: return "float";
    default: return t.text;
  }
}

std::string alternatives(const std::vector<std::string_view>& ends) {
  std::string out;
  for (const auto e : ends) out += (out.empty() ? "'" : " or '") + std::string(e) + "'";
  return out;
}

void set_context(Node& n, Context c) {
  n.context = c;
  for (const auto& i : n.items) set_context(*i, c);
}

bool can_assign(const Node& n) {
  if (n.kind == Kind::kName || n.kind == Kind::kNsRef) return true;
  return n.kind == Kind::kTuple && std::all_of(n.items.begin(), n.items.end(), [](const NodePtr& i) { return can_assign(*i); });
}

}  // namespace

void check_depth(Node& node) {
  int deepest = 0;
  for_each_child(node, [&](const Node& child) { deepest = std::max(deepest, child.depth); });
  node.depth = deepest + 1;
  if (node.depth <= kMaxTreeDepth) return;
  const std::string bound = std::to_string(kMaxTreeDepth);
  throw PyError{Exc::kSyntax, "expected expressions and blocks nested at most " + bound + " deep, got more", node.line};
}

Parser::Nesting::Nesting(Parser& p) : parser(p) {
  if (++parser.nesting_ > kMaxNesting) {
    --parser.nesting_;
    parser.fail("expected expressions and blocks nested at most " + std::to_string(kMaxNesting) + " deep, got more");
  }
}

void Parser::fail(std::string message, int line) const {
  throw PyError{Exc::kSyntax, std::move(message), line ? line : current().line};
}
void Parser::unexpected() const { fail("unexpected '" + shown(current()) + "'"); }

Token Parser::take() {
  Token t = current();
  if (at_ + 1 < tokens_.size()) ++at_;
  return t;
}
bool Parser::skip_op(std::string_view op) {
  if (!current().is_op(op)) return false;
  take();
  return true;
}
bool Parser::skip_name(std::string_view name) {
  if (!current().is_name(name)) return false;
  take();
  return true;
}
Token Parser::expect(Tok type, std::string_view what) {
  if (current().is(type)) return take();
  if (current().is(Tok::kEof)) fail("unexpected end of template, expected '" + std::string(what) + "'.");
  fail("expected token '" + std::string(what) + "', got '" + shown(current()) + "'");
}
void Parser::expect_op(std::string_view op) {
  if (!skip_op(op)) expect(Tok::kEof, op);
}

NodePtr Parser::parse_template() {
  NodePtr n = make(Kind::kTemplate, 1);
  n->body = subparse({});
  check_depth(*n);
  return n;
}

std::vector<NodePtr> Parser::subparse(const Ends& ends) {
  const Nesting nesting(*this);
  std::vector<NodePtr> body;
  NodePtr output;
  const auto add = [&](NodePtr item) {
    if (!output) output = make(Kind::kOutput, item->line);
    output->items.push_back(std::move(item));
  };
  const auto flush = [&] {
    if (!output) return;
    check_depth(*output);
    body.push_back(std::move(output));
  };
  if (!ends.empty()) ends_.push_back(ends);
  while (!current().is(Tok::kEof)) {
    const Token t = take();
    if (t.is(Tok::kData)) {
      NodePtr data = make(Kind::kData, t.line);
      data->value = Value(Type::kStr, new Str(nullptr, t.text, false));
      add(std::move(data));
    } else if (t.is(Tok::kVariableBegin)) {
      add(tuple());
      expect(Tok::kVariableEnd, "end of print statement");
    } else {
      flush();
      if (current().is(Tok::kName) && std::find(ends.begin(), ends.end(), current().text) != ends.end()) {
        ends_.pop_back();
        return body;
      }
      body.push_back(statement());
      check_depth(*body.back());
      expect(Tok::kBlockEnd, "end of statement block");
    }
  }
  flush();
  return body;
}

std::vector<NodePtr> Parser::statements(const Ends& ends, bool drop) {
  skip_op(":");
  expect(Tok::kBlockEnd, "end of statement block");
  std::vector<NodePtr> body = subparse(ends);
  if (current().is(Tok::kEof)) end_of_template(ends);
  if (drop) take();
  return body;
}

void Parser::end_of_template(const Ends& ends) const {
  std::string message = "Unexpected end of template. Jinja was looking for the following tags: " + alternatives(ends) + ".";
  if (!tags_.empty()) message += " The innermost block that needs to be closed is '" + tags_.back() + "'.";
  fail(message);
}

void Parser::unknown_tag(const Token& t) const {
  std::string message = "Encountered unknown tag '" + t.text + "'.";
  if (!ends_.empty()) {
    const bool nested = std::any_of(ends_.begin(), ends_.end(), [&](const Ends& e) { return std::find(e.begin(), e.end(), t.text) != e.end(); });
    message += nested ? " You probably made a nesting mistake. Jinja is expecting this tag, but currently looking for "
                      : " Jinja was looking for the following tags: ";
    message += alternatives(ends_.back()) + ".";
  }
  if (!tags_.empty()) message += " The innermost block that needs to be closed is '" + tags_.back() + "'.";
  fail(message, t.line);
}

NodePtr Parser::statement() {
  if (!current().is(Tok::kName)) fail("tag name expected");
  const Token t = current();
  const std::string& name = t.text;
  using Rule = NodePtr (Parser::*)();
  constexpr std::pair<std::string_view, Rule> kRules[] = {
      {"set", &Parser::parse_set}, {"for", &Parser::parse_for}, {"if", &Parser::parse_if}, {"with", &Parser::parse_with},
      {"block", &Parser::parse_block}, {"macro", &Parser::parse_macro}, {"call", &Parser::parse_call_block},
      {"filter", &Parser::parse_filter_block}, {"print", &Parser::parse_print}, {"autoescape", &Parser::parse_autoescape},
      {"generation", &Parser::parse_generation}};
  for (const auto& [word, rule] : kRules) {
    if (word != name) continue;
    tags_.push_back(name);
    NodePtr n = (this->*rule)();
    tags_.pop_back();
    return n;
  }
  if (name == "extends" || name == "include" || name == "import" || name == "from") return parse_import(name);
  if (name == "break" || name == "continue") return make(name == "break" ? Kind::kBreak : Kind::kContinue, take().line);
  unknown_tag(t);
}

NodePtr Parser::assign_target(bool name_only, bool with_namespace, bool until_in) {
  NodePtr target;
  if (name_only) {
    const Token t = expect(Tok::kName, "name");
    target = make(Kind::kName, t.line);
    target->name = t.text;
    target->context = Context::kStore;
    constexpr std::string_view kConstants[] = {"true", "false", "none", "True", "False", "None"};
    if (std::find(std::begin(kConstants), std::end(kConstants), t.text) != std::end(kConstants)) fail("can't assign to 'name'", t.line);
    return target;
  }
  target = parse_tuple({.simplified = true, .with_namespace = with_namespace, .end = until_in ? "in" : ""});
  set_context(*target, Context::kStore);
  if (!can_assign(*target)) fail("can't assign to this expression", target->line);
  return target;
}

NodePtr Parser::parse_set() {
  NodePtr n = make(Kind::kAssign, take().line);
  n->target = assign_target(false, true, false);
  if (skip_op("=")) {
    n->a = tuple();
    return n;
  }
  n->kind = Kind::kAssignBlock;
  if (current().is_op("|")) n->a = parse_filter(nullptr, false);
  n->body = statements({"endset"}, true);
  return n;
}

NodePtr Parser::parse_for() {
  NodePtr n = make(Kind::kFor, take().line);
  n->target = assign_target(false, false, true);
  if (!skip_name("in")) expect(Tok::kEof, "in");
  n->a = parse_tuple({.with_condexpr = false, .end = "recursive"});
  if (skip_name("if")) n->test = expression();
  n->recursive = skip_name("recursive");
  n->body = statements({"endfor", "else"}, false);
  if (take().text == "else") n->orelse = statements({"endfor"}, true);
  return n;
}

NodePtr Parser::parse_if() {
  NodePtr result = make(Kind::kIf, take().line);
  Node* n = result.get();
  for (;;) {
    n->test = parse_tuple({.with_condexpr = false});
    n->body = statements({"elif", "else", "endif"}, false);
    const Token t = take();
    if (t.text == "elif") {
      if (n != result.get()) check_depth(*n);
      result->items.push_back(make(Kind::kIf, current().line));
      n = result->items.back().get();
      continue;
    }
    if (n != result.get()) check_depth(*n);
    if (t.text == "else") result->orelse = statements({"endif"}, true);
    return result;
  }
}

NodePtr Parser::parse_with() {
  NodePtr n = make(Kind::kWith, take().line);
  while (!current().is(Tok::kBlockEnd)) {
    if (!n->items.empty()) expect_op(",");
    n->items.push_back(assign_target(false, false, false));
    set_context(*n->items.back(), Context::kParam);
    expect_op("=");
    n->values.push_back(expression());
  }
  n->body = statements({"endwith"}, true);
  return n;
}

NodePtr Parser::parse_block() {
  NodePtr n = make(Kind::kBlock, take().line);
  n->name = expect(Tok::kName, "name").text;
  n->scoped = skip_name("scoped");
  n->required = skip_name("required");
  if (current().is_op("-"))
    fail("Block names in Jinja have to be valid Python identifiers and may not contain hyphens, use an underscore instead.");
  n->body = statements({"endblock"}, true);
  if (n->required)
    for (const auto& child : n->body)
      for (const auto& item : child->items)
        if (child->kind != Kind::kOutput || item->kind != Kind::kData ||
            item->value.text().find_first_not_of(" \t\n\r\f\v") != std::string::npos)
          fail("Required blocks can only contain comments or whitespace");
  skip_name(n->name);
  return n;
}

void Parser::parse_signature(Node& n) {
  expect_op("(");
  while (!current().is_op(")")) {
    if (!n.items.empty()) expect_op(",");
    NodePtr arg = assign_target(true, false, false);
    arg->context = Context::kParam;
    if (std::find(n.params.begin(), n.params.end(), arg->name) != n.params.end()) fail("duplicate argument '" + arg->name + "'");
    if (skip_op("=")) n.defaults.push_back(expression());
    else if (!n.defaults.empty()) fail("non-default argument follows default argument");
    n.params.push_back(arg->name);
    n.items.push_back(std::move(arg));
  }
  expect_op(")");
}

NodePtr Parser::parse_macro() {
  NodePtr n = make(Kind::kMacro, take().line);
  n->name = assign_target(true, false, false)->name;
  parse_signature(*n);
  n->body = statements({"endmacro"}, true);
  return n;
}

NodePtr Parser::parse_call_block() {
  NodePtr n = make(Kind::kCallBlock, take().line);
  if (current().is_op("(")) parse_signature(*n);
  n->a = expression();
  if (n->a->kind != Kind::kCall) fail("expected call", n->line);
  n->body = statements({"endcall"}, true);
  return n;
}

NodePtr Parser::parse_generation() {
  NodePtr n = make(Kind::kCallBlock, take().line);
  n->body = statements({"endgeneration"}, true);
  return n;
}

NodePtr Parser::parse_filter_block() {
  NodePtr n = make(Kind::kFilterBlock, take().line);
  n->a = parse_filter(nullptr, true);
  n->body = statements({"endfilter"}, true);
  return n;
}

NodePtr Parser::parse_print() {
  NodePtr n = make(Kind::kOutput, take().line);
  while (!current().is(Tok::kBlockEnd)) {
    if (!n->items.empty()) expect_op(",");
    n->items.push_back(expression());
  }
  return n;
}

NodePtr Parser::parse_autoescape() {
  NodePtr n = make(Kind::kAutoescape, take().line);
  n->a = expression();
  n->body = statements({"endautoescape"}, true);
  return n;
}

void Parser::skip_import_context() {
  if ((current().is_name("with") || current().is_name("without")) && look().is_name("context")) take(), take();
}

// extends, include, import and from: parsed in full, so that their errors are the same; there is no loader to run them.
NodePtr Parser::parse_import(std::string_view keyword) {
  const Kind kind = keyword == "extends" ? Kind::kExtends : keyword == "include" ? Kind::kInclude
                    : keyword == "import" ? Kind::kImport : Kind::kFromImport;
  NodePtr n = make(kind, take().line);
  n->a = expression();
  if (kind == Kind::kInclude) {
    if (current().is_name("ignore") && look().is_name("missing")) n->ignore_missing = true, take(), take();
    skip_import_context();
  } else if (kind == Kind::kImport) {
    if (!skip_name("as")) expect(Tok::kEof, "as");
    n->names.push_back(assign_target(true, false, false)->name);
    skip_import_context();
  } else if (kind == Kind::kFromImport) {
    if (!skip_name("import")) expect(Tok::kEof, "import");
    parse_from_names(*n);
  }
  return n;
}

void Parser::parse_from_names(Node& n) {
  const auto context = [&] {
    if (!(current().is_name("with") || current().is_name("without")) || !look().is_name("context")) return false;
    skip_import_context();
    return true;
  };
  for (;;) {
    if (!n.names.empty()) expect_op(",");
    if (!current().is(Tok::kName)) expect(Tok::kName, "name");
    if (context()) return;
    std::string target = assign_target(true, false, false)->name;
    if (target.starts_with("_")) fail("names starting with an underline can not be imported");
    n.names.push_back(skip_name("as") ? assign_target(true, false, false)->name : target);
    if (context() || !current().is_op(",")) return;
  }
}

}  // namespace transom::jinja
