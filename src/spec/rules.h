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
// One tensor holds several parameters, row after row. kStacked: each as a whole, in order. kPerHead: a part of each for
// every kv head in turn (as many rows as the head has). kInterleaved: one row of each in turn. The stars of `tensor` and of
// each of `params` correspond in order.
struct Fused {
  enum class Order : uint8_t { kStacked, kPerHead, kInterleaved };
  std::string tensor;
  std::vector<std::string> params;
  Order order = Order::kStacked;
};
// The parameters that differ in the first of these stars alone lie in one tensor with a leading dimension, which that star
// counts ("experts.*" of a layer): `tensor` has every star of `params` but that one, which is number `star`.
struct Stacked {
  std::string params, tensor;
  int star = 1;
};
// Matrices that are stored as [in, out].
struct Transposed {
  std::string tensor;
};
// A vector parameter is stored as -exp of its values (GGUF's decay of recurrent layers).
struct NegativeExp {
  std::string param;
};
// A matrix whose rows lie in several tensors, of each some for every head in turn: [heads, rows, cols], or transposed
// [heads, cols, rows]. A tensor of the matrix's own name is read instead where there is one.
struct Joined {
  struct Part {
    std::string tensor;
    bool transposed = false;
  };
  std::string param;
  std::vector<Part> parts;
};
using Rule = std::variant<Rename, Drop, Offset, Fused, Stacked, Transposed, NegativeExp, Joined>;

// Where a parameter lies. A tensor that is fused or stacked is found by Fused first, then by Stacked, then by Rename.
struct Place {
  std::string tensor;
  std::vector<std::string> parts;  // of a fused tensor: the parameters in it, this one among them
  size_t part = 0;                 // which of them it is
  Fused::Order order = Fused::Order::kStacked;
  int64_t slab = -1;               // of a stacked tensor: index in the leading dimension
  bool transposed = false;
  std::vector<Joined::Part> joined;  // the tensors that make it up where there is none of its own
};

class Rules {
 public:
  Rules() = default;
  Rules(std::initializer_list<Rule> rules) : rules_(rules) {}
  Rules& operator+=(const Rules& more);

  // Where a parameter is to be found: the first rule of each kind that matches; by the same name if there is none.
  Place place(std::string_view param) const;
  bool drops(std::string_view tensor) const;
  double offset(std::string_view param) const;
  bool stores_negative_exp(std::string_view param) const;

 private:
  std::vector<Rule> rules_;
};

// What the stars of `pattern` stand for in `name`; nullopt when it does not match.
std::optional<std::vector<std::string>> match_pattern(std::string_view pattern, std::string_view name);

}  // namespace transom
