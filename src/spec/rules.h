// Naming rules between a model's parameters (Hugging Face's names) and a checkpoint's tensors: declarative, so that they
// work in both directions (load and save). Patterns are dotted names; `*` stands for one component, a final `**` for all that
// remain; the stars of a Rename's two sides correspond in order.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace transom {

struct Rename {
  std::string param, tensor;
};
// The checkpoint's tensors of this name are of no use to inference (old buffers, unused heads).
struct Drop {
  std::string tensor;
};
// A vector parameter's value is the stored one plus `add` (GGUF stores Gemma's norms as 1 + weight).
struct Offset {
  std::string param;
  double add;
};
using Rule = std::variant<Rename, Drop, Offset>;

class Rules {
 public:
  Rules() = default;
  Rules(std::initializer_list<Rule> rules) : rules_(rules) {}
  Rules& operator+=(const Rules& more);

  // The tensor that holds a parameter: the first Rename that matches, else the same name.
  std::string tensor_name(std::string_view param) const;
  bool drops(std::string_view tensor) const;
  double offset(std::string_view param) const;

 private:
  std::vector<Rule> rules_;
};

// What the stars of `pattern` stand for in `name`; nullopt when it does not match.
std::optional<std::vector<std::string>> match_pattern(std::string_view pattern, std::string_view name);

}  // namespace transom
