// Expressions: see parser.h. Precedence as in jinja2: "**" binds from the left, "-2 ** 2" is (-2) ** 2, "~" binds tighter
// than "+".
#include <algorithm>

#include "text/jinja/parser.h"

namespace transom::jinja {

NodePtr Parser::two(Kind kind, int line, NodePtr a, NodePtr b) {
  NodePtr n = make(kind, line);
  n->a = std::move(a), n->b = std::move(b);
  check_depth(*n);
  return n;
}

NodePtr Parser::expression(bool with_condexpr) { return with_condexpr ? condexpr() : parse_or(); }

NodePtr Parser::condexpr() {
  int line = current().line;
  NodePtr first = parse_or();
  while (skip_name("if")) {
    NodePtr n = make(Kind::kCondExpr, line);
    n->test = parse_or();
    n->a = std::move(first);
    if (skip_name("else")) {
      const Nesting nesting(*this);
      n->b = condexpr();
    }
    check_depth(*n);
    first = std::move(n);
    line = current().line;
  }
  return first;
}

NodePtr Parser::parse_or() {
  int line = current().line;
  NodePtr left = parse_and();
  while (skip_name("or")) {
    left = two(Kind::kOr, line, std::move(left), parse_and());
    line = current().line;
  }
  return left;
}

NodePtr Parser::parse_and() {
  int line = current().line;
  NodePtr left = parse_not();
  while (skip_name("and")) {
    left = two(Kind::kAnd, line, std::move(left), parse_not());
    line = current().line;
  }
  return left;
}

NodePtr Parser::parse_not() {
  if (!current().is_name("not")) return parse_compare();
  const Nesting nesting(*this);
  const int line = take().line;
  return two(Kind::kNot, line, parse_not(), nullptr);
}

NodePtr Parser::parse_compare() {
  const int line = current().line;
  NodePtr first = parse_sum();
  NodePtr n;
  for (;;) {
    constexpr std::string_view kOps[] = {"==", "!=", "<", "<=", ">", ">="};
    std::string op;
    if (current().is(Tok::kOperator) && std::find(std::begin(kOps), std::end(kOps), current().text) != std::end(kOps)) {
      op = take().text;
    } else if (skip_name("in")) {
      op = "in";
    } else if (current().is_name("not") && look().is_name("in")) {
      take(), take();
      op = "not in";
    } else {
      break;
    }
    if (!n) n = make(Kind::kCompare, line);
    n->ops.push_back(op);
    n->items.push_back(parse_sum());
  }
  if (!n) return first;
  n->a = std::move(first);
  check_depth(*n);
  return n;
}

NodePtr Parser::parse_sum() {
  int line = current().line;
  NodePtr left = parse_concat();
  while (current().is_op("+") || current().is_op("-")) {
    const Arith op = take().text == "+" ? Arith::kAdd : Arith::kSub;
    left = two(Kind::kBinary, line, std::move(left), parse_concat());
    left->arith = op;
    line = current().line;
  }
  return left;
}

NodePtr Parser::parse_concat() {
  const int line = current().line;
  NodePtr first = parse_product();
  if (!current().is_op("~")) return first;
  NodePtr n = make(Kind::kConcat, line);
  n->items.push_back(std::move(first));
  while (skip_op("~")) n->items.push_back(parse_product());
  check_depth(*n);
  return n;
}

NodePtr Parser::parse_product() {
  int line = current().line;
  NodePtr left = parse_power();
  while (current().is_op("*") || current().is_op("/") || current().is_op("//") || current().is_op("%")) {
    const std::string op = take().text;
    left = two(Kind::kBinary, line, std::move(left), parse_power());
    left->arith = op == "*" ? Arith::kMul : op == "/" ? Arith::kDiv : op == "//" ? Arith::kFloorDiv : Arith::kMod;
    line = current().line;
  }
  return left;
}

NodePtr Parser::parse_power() {
  int line = current().line;
  NodePtr left = parse_unary(true);
  while (skip_op("**")) {
    left = two(Kind::kBinary, line, std::move(left), parse_unary(true));
    left->arith = Arith::kPow;
    line = current().line;
  }
  return left;
}

NodePtr Parser::parse_unary(bool with_filter) {
  const Nesting nesting(*this);
  const int line = current().line;
  NodePtr n;
  if (skip_op("-")) n = two(Kind::kNeg, line, parse_unary(false), nullptr);
  else if (skip_op("+")) n = two(Kind::kPos, line, parse_unary(false), nullptr);
  else n = parse_primary(false);
  n = parse_postfix(std::move(n));
  return with_filter ? parse_filter_expr(std::move(n)) : std::move(n);
}

NodePtr Parser::parse_primary(bool with_namespace) {
  const Token t = current();
  if (t.is(Tok::kName)) {
    take();
    NodePtr n = make(Kind::kConst, t.line);
    if (t.text == "true" || t.text == "True") n->value = Value::boolean(true);
    else if (t.text == "false" || t.text == "False") n->value = Value::boolean(false);
    else if (t.text == "none" || t.text == "None") n->value = Value::none();
    else n->kind = Kind::kName, n->name = t.text;
    if (n->kind == Kind::kName && with_namespace && skip_op(".")) {
      n->kind = Kind::kNsRef;
      n->value = Value(Type::kStr, new Str(nullptr, expect(Tok::kName, "name").text, false));
    }
    return n;
  }
  if (t.is_op("(")) {
    take();
    const Nesting nesting(*this);
    NodePtr n = parse_tuple({.explicit_parentheses = true});
    expect_op(")");
    return n;
  }
  if (t.is_op("[")) return parse_list();
  if (t.is_op("{")) return parse_dict();
  return parse_literal();
}

NodePtr Parser::parse_literal() {
  const Token t = current();
  NodePtr n = make(Kind::kConst, t.line);
  if (t.is(Tok::kString)) {
    std::string text;
    while (current().is(Tok::kString)) text += take().text;
    n->value = Value(Type::kStr, new Str(nullptr, std::move(text), false));
  } else if (t.is(Tok::kInteger)) {
    std::string_view digits = t.text;
    int base = 10;
    if (digits.size() > 1 && digits[0] == '0' && (digits[1] | 0x20) >= 'a') {
      const char radix = static_cast<char>(digits[1] | 0x20);
      base = radix == 'x' ? 16 : radix == 'o' ? 8 : 2;
      digits.remove_prefix(2);
    }
    n->value = int_from_digits(nullptr, digits, base);
    take();
  } else if (t.is(Tok::kFloat)) {
    n->value = Value::number(parse_float(take().text));
  } else {
    unexpected();
  }
  return n;
}

NodePtr Parser::parse_tuple(const TupleOptions& options) {
  int line = current().line;
  std::vector<NodePtr> items;
  bool is_tuple = false;
  for (;;) {
    if (!items.empty()) expect_op(",");
    if (current().is(Tok::kVariableEnd) || current().is(Tok::kBlockEnd) || current().is_op(")")) break;
    if (!options.end.empty() && current().is_name(options.end)) break;
    items.push_back(options.simplified ? parse_primary(options.with_namespace) : expression(options.with_condexpr));
    if (!current().is_op(",")) break;
    is_tuple = true;
    line = current().line;
  }
  if (!is_tuple) {
    if (!items.empty()) return std::move(items[0]);
    if (!options.explicit_parentheses) fail("Expected an expression, got '" + (current().text.empty() ? "end of the tag" : current().text) + "'");
  }
  NodePtr n = make(Kind::kTuple, line);
  n->items = std::move(items);
  check_depth(*n);
  return n;
}

NodePtr Parser::parse_list() {
  const Nesting nesting(*this);
  NodePtr n = make(Kind::kList, take().line);
  while (!current().is_op("]")) {
    if (!n->items.empty()) expect_op(",");
    if (current().is_op("]")) break;
    n->items.push_back(expression());
  }
  expect_op("]");
  check_depth(*n);
  return n;
}

NodePtr Parser::parse_dict() {
  const Nesting nesting(*this);
  NodePtr n = make(Kind::kDict, take().line);
  while (!current().is_op("}")) {
    if (!n->items.empty()) expect_op(",");
    if (current().is_op("}")) break;
    n->items.push_back(expression());
    expect_op(":");
    n->items.push_back(expression());
  }
  expect_op("}");
  check_depth(*n);
  return n;
}

NodePtr Parser::parse_postfix(NodePtr node) {
  for (;;) {
    if (current().is_op(".") || current().is_op("[")) {
      node = parse_subscript(std::move(node));
    } else if (current().is_op("(")) {
      NodePtr n = make(Kind::kCall, current().line);
      n->call = parse_call_args();
      n->a = std::move(node);
      check_depth(*n);
      node = std::move(n);
    } else {
      return node;
    }
  }
}

NodePtr Parser::parse_filter_expr(NodePtr node) {
  for (;;) {
    if (current().is_op("|")) {
      node = parse_filter(std::move(node), false);
    } else if (current().is_name("is")) {
      node = parse_test(std::move(node));
    } else if (current().is_op("(")) {
      NodePtr n = make(Kind::kCall, current().line);
      n->call = parse_call_args();
      n->a = std::move(node);
      check_depth(*n);
      node = std::move(n);
    } else {
      return node;
    }
  }
}

NodePtr Parser::parse_subscript(NodePtr node) {
  const Token t = take();
  NodePtr n = make(Kind::kGetitem, t.line);
  n->a = std::move(node);
  if (t.is_op(".")) {
    const Token attribute = current();
    if (attribute.is(Tok::kName)) {
      take();
      n->kind = Kind::kGetattr;
      n->value = Value(Type::kStr, new Str(nullptr, attribute.text, false));
    } else if (attribute.is(Tok::kInteger)) {
      n->b = parse_literal();
    } else {
      take();
      fail("expected name or number", attribute.line);
    }
    check_depth(*n);
    return n;
  }
  const Nesting nesting(*this);
  std::vector<NodePtr> parts;
  while (!current().is_op("]")) {
    if (!parts.empty()) expect_op(",");
    parts.push_back(parse_subscribed());
  }
  expect_op("]");
  if (parts.size() == 1) {
    n->b = std::move(parts[0]);
  } else {
    n->b = make(Kind::kTuple, t.line);
    n->b->items = std::move(parts);
    check_depth(*n->b);
  }
  check_depth(*n);
  return n;
}

NodePtr Parser::parse_subscribed() {
  NodePtr n = make(Kind::kSlice, current().line);
  if (!skip_op(":")) {
    NodePtr start = expression();
    if (!skip_op(":")) return start;
    n->a = std::move(start);
  }
  const auto absent = [&] { return current().is_op(":") || current().is_op("]") || current().is_op(","); };
  if (!absent()) n->b = expression();
  if (skip_op(":") && !current().is_op("]") && !current().is_op(",")) n->c = expression();
  check_depth(*n);
  return n;
}

std::unique_ptr<CallArgs> Parser::parse_call_args() {
  const Nesting nesting(*this);
  const int line = current().line;
  expect_op("(");
  auto args = std::make_unique<CallArgs>();
  const auto ensure = [&](bool ok) {
    if (!ok) fail("invalid syntax for function call expression", line);
  };
  for (bool comma = false; !current().is_op(")"); comma = true) {
    if (comma) {
      expect_op(",");
      if (current().is_op(")")) break;
    }
    if (skip_op("*")) {
      ensure(!args->star && !args->star_star);
      args->star = expression();
    } else if (skip_op("**")) {
      ensure(!args->star_star);
      args->star_star = expression();
    } else if (current().is(Tok::kName) && look().is_op("=")) {
      ensure(!args->star_star);
      const std::string key = take().text;
      take();
      for (const auto& kw : args->named)
        if (kw.first == key) fail("keyword argument repeated: " + key);
      args->named.emplace_back(key, expression());
    } else {
      ensure(!args->star && !args->star_star && args->named.empty());
      args->positional.push_back(expression());
    }
  }
  expect_op(")");
  return args;
}

std::string Parser::dotted_name() {
  std::string name = expect(Tok::kName, "name").text;
  while (skip_op(".")) name += "." + expect(Tok::kName, "name").text;
  return name;
}

NodePtr Parser::parse_filter(NodePtr node, bool start_inline) {
  while (current().is_op("|") || start_inline) {
    if (!start_inline) take();
    NodePtr n = make(Kind::kFilter, current().line);
    n->name = dotted_name();
    if (current().is_op("(")) n->call = parse_call_args();
    else n->call = std::make_unique<CallArgs>();
    n->a = std::move(node);
    check_depth(*n);
    node = std::move(n);
    start_inline = false;
  }
  return node;
}

NodePtr Parser::parse_test(NodePtr node) {
  const int line = take().line;
  const bool negated = skip_name("not");
  NodePtr n = make(Kind::kTest, line);
  n->name = dotted_name();
  n->call = std::make_unique<CallArgs>();
  const Token& t = current();
  const bool starts_argument = t.is(Tok::kName) || t.is(Tok::kString) || t.is(Tok::kInteger) || t.is(Tok::kFloat) || t.is_op("[") || t.is_op("{");
  if (t.is_op("(")) {
    n->call = parse_call_args();
  } else if (starts_argument && !t.is_name("else") && !t.is_name("or") && !t.is_name("and")) {
    if (t.is_name("is")) fail("You cannot chain multiple tests with is");
    n->call->positional.push_back(parse_postfix(parse_primary(false)));
  }
  n->a = std::move(node);
  check_depth(*n);
  return negated ? two(Kind::kNot, line, std::move(n), nullptr) : std::move(n);
}

}  // namespace transom::jinja
