// ParamTable and Scope: see params.h.
#include "spec/params.h"

#include <algorithm>

#include "base/error.h"

namespace transom {

Param* ParamTable::add(Param p) {
  if (find(p.name)) fail(Code::kInternal, p.name, "expected one declaration of a parameter, got two");
  blocks_ = std::max(blocks_, p.block + 1);
  Param* row = &rows_.emplace_back(std::move(p));
  by_name_.emplace(row->name, row);
  return row;
}

Param* ParamTable::find(std::string_view name) {
  const auto it = by_name_.find(name);
  return it == by_name_.end() ? nullptr : it->second;
}

Scope Scope::operator/(std::string_view name) const {
  Scope s = *this;
  if (!s.name_.empty() && !name.empty()) s.name_ += '.';
  s.name_ += name;
  return s;
}

Scope Scope::in_block(int32_t block) const {
  Scope s = *this;
  s.block_ = block;
  return s;
}

Param* Scope::add(Param p) const {
  p.name = (*this / p.name).name_;
  p.block = block_;
  return params_->add(std::move(p));
}

Param* Scope::matrix(std::string_view name, int64_t rows, int64_t cols, Split split, const Param* tied) const {
  return add({.name = std::string(name), .kind = ParamKind::kMatrix, .rows = rows, .cols = cols, .split = split, .tied = tied, .weight = {}});
}

Param* Scope::table(std::string_view name, int64_t rows, int64_t cols, Split split) const {
  return add({.name = std::string(name), .kind = ParamKind::kTable, .rows = rows, .cols = cols, .split = split, .weight = {}});
}

Param* Scope::vector(std::string_view name, int64_t size, Split split) const {
  return vectors(name, 1, size, split);
}

Param* Scope::vectors(std::string_view name, int64_t rows, int64_t cols, Split split) const {
  return add({.name = std::string(name), .kind = ParamKind::kVector, .rows = rows, .cols = cols, .split = split, .weight = {}});
}

Param* Scope::optional_vector(std::string_view name, int64_t size, Split split) const {
  return add({.name = std::string(name), .kind = ParamKind::kVector, .rows = 1, .cols = size, .split = split, .optional = true, .weight = {}});
}

Param* Scope::computed(std::string_view name, int64_t rows, int64_t cols, const std::vector<float>& values) const {
  CHECK(static_cast<int64_t>(values.size()) == rows * cols);
  const auto owner = std::make_shared<const std::vector<float>>(values);
  Param* p = frozen(table(name, rows, cols));
  p->weight.view = {reinterpret_cast<const std::byte*>(owner->data()), DType::kF32, rows, cols, cols * static_cast<int64_t>(sizeof(float))};
  p->weight.owner = owner;
  p->computed = true;
  return p;
}

int32_t Scope::state(const StateSpec& spec) const {
  states_->push_back(spec);
  return static_cast<int32_t>(states_->size()) - 1;
}

std::vector<Scope> layers(const Scope& prefix, int64_t n, int64_t first_block) {
  constexpr int64_t kMost = 1 << 14;  // far above any model's; bounds what a config can make us allocate
  if (n < 1 || n > kMost) fail(Code::kCorrupt, prefix.name(), "expected 1 to {} layers, got {}", kMost, n);
  std::vector<Scope> out;
  for (int64_t i = 0; i < n; ++i) out.push_back((prefix / std::to_string(i)).in_block(static_cast<int32_t>(first_block + i)));
  return out;
}

}  // namespace transom
