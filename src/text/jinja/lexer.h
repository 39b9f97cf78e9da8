// Template source to tokens, with trim_blocks, lstrip_blocks and the "-" and "+" whitespace marks (after jinja2/lexer.py,
// restated). Line breaks of any kind become "\n"; one trailing line break is dropped.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/jinja/value.h"

namespace transom::jinja {

enum class Tok : uint8_t {
  kEof, kData, kVariableBegin, kVariableEnd, kBlockBegin, kBlockEnd, kName, kString, kInteger, kFloat, kOperator,
};

struct Token {
  Tok type = Tok::kEof;
  int line = 1;
  std::string text;  // data, name, unescaped string, digits or operator
  bool is(Tok t) const { return type == t; }
  bool is_op(std::string_view op) const { return type == Tok::kOperator && text == op; }
  bool is_name(std::string_view name) const { return type == Tok::kName && text == name; }
};

// Raises kSyntax with the line. The last token is kEof.
std::vector<Token> tokenize(std::string_view source);

}  // namespace transom::jinja
