// Rules: see rules.h.
#include "spec/rules.h"

#include <algorithm>

#include "base/error.h"

namespace transom {
namespace {

// Takes the component before the next dot off `rest`.
std::string_view next_component(std::string_view& rest) {
  const size_t dot = rest.find('.');
  const std::string_view head = rest.substr(0, dot);
  rest = dot == std::string_view::npos ? std::string_view{} : rest.substr(dot + 1);
  return head;
}

std::string substitute(std::string_view pattern, const std::vector<std::string>& stars) {
  std::string out;
  size_t next = 0;
  while (!pattern.empty()) {
    const std::string_view part = next_component(pattern);
    if (!out.empty()) out += '.';
    if (part == "*" || part == "**") {
      CHECK(next < stars.size());
      out += stars[next++];
    } else {
      out += part;
    }
  }
  return out;
}

}  // namespace

std::optional<std::vector<std::string>> match_pattern(std::string_view pattern, std::string_view name) {
  std::vector<std::string> stars;
  while (!pattern.empty()) {
    const std::string_view want = next_component(pattern);
    if (want == "**") {
      if (name.empty()) return std::nullopt;
      stars.emplace_back(name);
      return stars;
    }
    if (name.empty()) return std::nullopt;
    const std::string_view have = next_component(name);
    if (want == "*") stars.emplace_back(have);
    else if (want != have) return std::nullopt;
  }
  if (!name.empty()) return std::nullopt;
  return stars;
}

Rules& Rules::operator+=(const Rules& more) {
  rules_.insert(rules_.end(), more.rules_.begin(), more.rules_.end());
  return *this;
}

Place Rules::place(std::string_view param) const {
  Place p{.tensor = std::string(param)};
  const auto fused = [&](const Fused& f) {
    for (size_t i = 0; i < f.params.size(); ++i)
      if (const auto stars = match_pattern(f.params[i], param)) {
        p.tensor = substitute(f.tensor, *stars);
        for (const std::string& other : f.params) p.parts.push_back(substitute(other, *stars));
        p.part = i;
        p.order = f.order;
        return true;
      }
    return false;
  };
  for (const Rule& rule : rules_)
    if (const auto* f = std::get_if<Fused>(&rule); f && fused(*f)) break;
  for (const Rule& rule : rules_)
    if (const auto* s = std::get_if<Stacked>(&rule))
      if (auto stars = match_pattern(s->params, p.tensor)) {
        CHECK(s->star < static_cast<int>(stars->size()));
        p.slab = std::stoll((*stars)[s->star]);
        stars->erase(stars->begin() + s->star);
        p.tensor = substitute(s->tensor, *stars);
        break;
      }
  for (const Rule& rule : rules_)
    if (const auto* r = std::get_if<Rename>(&rule))
      if (const auto stars = match_pattern(r->param, p.tensor)) {
        p.tensor = substitute(r->tensor, *stars);
        break;
      }
  for (const Rule& rule : rules_)
    if (const auto* t = std::get_if<Transposed>(&rule))
      if (match_pattern(t->tensor, p.tensor)) p.transposed = true;
  for (const Rule& rule : rules_)
    if (const auto* j = std::get_if<Joined>(&rule); j && p.joined.empty())
      if (const auto stars = match_pattern(j->param, param))
        for (const Joined::Part& part : j->parts) p.joined.push_back({substitute(part.tensor, *stars), part.transposed});
  return p;
}

bool Rules::drops(std::string_view tensor) const {
  for (const Rule& rule : rules_)
    if (const auto* d = std::get_if<Drop>(&rule))
      if (match_pattern(d->tensor, tensor)) return true;
  return false;
}

double Rules::offset(std::string_view param) const {
  double sum = 0;
  for (const Rule& rule : rules_)
    if (const auto* o = std::get_if<Offset>(&rule))
      if (match_pattern(o->param, param)) sum += o->add;
  return sum;
}

bool Rules::stores_negative_exp(std::string_view param) const {
  return std::any_of(rules_.begin(), rules_.end(), [&](const Rule& rule) {
    const auto* n = std::get_if<NegativeExp>(&rule);
    return n && match_pattern(n->param, param);
  });
}

}  // namespace transom
