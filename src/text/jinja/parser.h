// Tokens to syntax tree (after jinja2/parser.py, restated), with the generation tag and loop controls of the setup in
// transformers.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/lexer.h"

namespace transom::jinja {

class Parser {
 public:
  explicit Parser(std::string_view source) : tokens_(tokenize(source)) {}
  NodePtr parse_template();

 private:
  using Ends = std::vector<std::string_view>;

  // The stream
  const Token& current() const { return tokens_[at_]; }
  const Token& look() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  Token take();
  bool skip_op(std::string_view op);
  bool skip_name(std::string_view name);
  Token expect(Tok type, std::string_view shown);
  void expect_op(std::string_view op);
  [[noreturn]] void fail(std::string message, int line = 0) const;
  [[noreturn]] void unexpected() const;

  // Statements (parser.cc)
  std::vector<NodePtr> subparse(const Ends& ends);
  std::vector<NodePtr> statements(const Ends& ends, bool drop);
  NodePtr statement();
  NodePtr parse_set();
  NodePtr parse_for();
  NodePtr parse_if();
  NodePtr parse_with();
  NodePtr parse_block();
  NodePtr parse_macro();
  NodePtr parse_call_block();
  NodePtr parse_generation();
  NodePtr parse_filter_block();
  NodePtr parse_print();
  NodePtr parse_autoescape();
  NodePtr parse_import(std::string_view keyword);
  void parse_from_names(Node& n);
  void skip_import_context();
  void parse_signature(Node& n);
  [[noreturn]] void unknown_tag(const Token& t) const;
  [[noreturn]] void end_of_template(const Ends& ends) const;
  NodePtr assign_target(bool name_only, bool with_namespace, bool until_in);

  // Expressions (parser_expr.cc)
  struct TupleOptions {
    bool simplified = false, with_condexpr = true, explicit_parentheses = false, with_namespace = false;
    std::string_view end;  // a name that ends the tuple
  };
  NodePtr parse_tuple(const TupleOptions& options);
  NodePtr tuple() { return parse_tuple(TupleOptions{}); }
  NodePtr expression(bool with_condexpr = true);
  NodePtr condexpr();
  NodePtr parse_or();
  NodePtr parse_and();
  NodePtr parse_not();
  NodePtr parse_compare();
  NodePtr parse_sum();
  NodePtr parse_concat();
  NodePtr parse_product();
  NodePtr parse_power();
  NodePtr parse_unary(bool with_filter);
  NodePtr parse_primary(bool with_namespace);
  NodePtr parse_literal();
  NodePtr parse_list();
  NodePtr parse_dict();
  NodePtr parse_postfix(NodePtr node);
  NodePtr parse_filter_expr(NodePtr node);
  NodePtr parse_subscript(NodePtr node);
  NodePtr parse_subscribed();
  NodePtr parse_filter(NodePtr node, bool start_inline);
  NodePtr parse_test(NodePtr node);
  std::unique_ptr<CallArgs> parse_call_args();
  std::string dotted_name();
  NodePtr make(Kind kind, int line) { return std::make_unique<Node>(kind, line); }
  NodePtr two(Kind kind, int line, NodePtr a, NodePtr b);

  // Counts nested calls of the recursive descent.
  struct Nesting {
    explicit Nesting(Parser& p);
    ~Nesting() { --parser.nesting_; }
    Parser& parser;
  };

  std::vector<Token> tokens_;
  size_t at_ = 0;
  int nesting_ = 0;
  std::vector<std::string> tags_;
  std::vector<Ends> ends_;
};

}  // namespace transom::jinja
