// guess_family: see unknown.h.
#include "engine/unknown.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <unordered_set>

#include "base/error.h"
#include "checkpoint/loader.h"
#include "models/generic.h"
#include "models/registry.h"

namespace transom {
namespace {

// "a, b, c and 4 more".
std::string few(const std::vector<std::string>& names) {
  constexpr size_t kMost = 3;
  std::string s = fmt::format("{}", fmt::join(names.begin(), names.begin() + static_cast<ptrdiff_t>(std::min(names.size(), kMost)), ", "));
  if (names.size() > kMost) s += fmt::format(" and {} more", names.size() - kMost);
  return s;
}

// The tensors by which a family and a checkpoint differ.
struct Difference {
  std::vector<std::string> missing, unused;
  size_t count() const { return missing.size() + unused.size(); }
};

Difference differences(const TensorSource& source, const Family& family, const ParamTable& params) {
  Difference d;
  const std::string prefix = std::string(family.base_prefix) + ".";
  std::unordered_set<std::string> read;
  for (const Param& p : params.rows()) {
    std::string tensor = family.rules.place(p.name).tensor;
    if (!p.tied && !holds(source, family.rules, family.base_prefix, p.name)) d.missing.push_back(tensor);
    if (tensor.starts_with(prefix)) read.insert(tensor.substr(prefix.size()));
    else read.insert(prefix + tensor);
    read.insert(std::move(tensor));
  }
  for (const TensorEntry& e : source.entries())
    if (!read.contains(e.name) && !family.rules.drops(e.name)) d.unused.push_back(e.name);
  return d;
}

// "; the nearest is X, whose … differ", over all families that the config suffices for.
std::string nearest(const TensorSource& source, const Json& document, const std::string& origin) {
  std::string_view name;
  Difference least;
  for (const auto& [n, task, gguf] : registry_lines()) {
    try {
      Family family = *find_family(n);
      Json aliased = document;
      apply_aliases(family, aliased);
      const Config config(std::move(aliased), origin);
      ParamTable params;
      std::vector<StateSpec> states;
      build_network(family, config, Scope(params, states));
      if (family.config_rules) family.rules += family.config_rules(config);
      Difference d = differences(source, family, params);
      if (name.empty() || d.count() < least.count()) name = n, least = std::move(d);
    } catch (const Error&) {  // the config is not this family's
    }
  }
  if (name.empty()) return "";
  std::string s = fmt::format("; the nearest is {}", name);
  if (least.count() == 0) return s + ", whose tensors are the same";
  if (!least.missing.empty()) s += fmt::format(", which also has {}", few(least.missing));
  if (!least.unused.empty()) s += fmt::format("{} does not have {}", least.missing.empty() ? ", which" : ", and", few(least.unused));
  return s;
}

// Builds and binds the family and throws what does not fit.
void require_whole(const TensorSource& source, const Json& document, const std::string& origin, const Family& family) {
  ParamTable params;
  std::vector<StateSpec> states;
  const Config config(document, origin);
  family.build(config, Scope(params, states));
  for (const char* key : {"max_position_embeddings", "vocab_size"}) config.ignore(key);
  UnreadKeys unread = judge_unread(config, family.config_keys);
  unread.errors.insert(unread.errors.end(), unread.warnings.begin(), unread.warnings.end());
  if (!unread.errors.empty())
    fail(Code::kUnsupported, origin, "expected config keys whose meaning is known, got {}", few(unread.errors));
  bind_params(params, source, family.rules, family.base_prefix, {});
}

}  // namespace

GuessedFamily guess_family(const TensorSource& source, Json& config, const std::string& origin, const std::vector<std::string>& names) {
  const std::string architecture = fmt::format("{}", fmt::join(names, ", "));
  const Json original = config;
  std::string found, why = "they are not named so";
  const ShapeOf shape_of = [&](std::string_view name) -> const std::vector<int64_t>* {
    const TensorEntry* e = source.find(name);
    return e ? &e->shape : nullptr;
  };
  if (auto family = source.gguf() ? std::nullopt : generic_decoder(config, shape_of, found)) {
    try {
      require_whole(source, config, origin, *family);
      return {std::move(*family), fmt::format("{} is not known here: read as a decoder of Llama's shape{}{}; compare with `transom verify`",
                                              architecture, found.empty() ? "" : " with ", found)};
    } catch (const Error& e) {
      why = e.what();
    }
  }
  fail(Code::kUnsupported, source.path(),
       "expected an architecture of `transom inspect --families`, got {}{}; its tensors as those of a decoder of Llama's shape: {}",
       architecture, nearest(source, original, origin), why);
}

}  // namespace transom
