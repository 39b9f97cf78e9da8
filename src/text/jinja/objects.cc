// Ranges, views, iterators, namespaces, cyclers, joiners: see objects.h.
#include "text/jinja/objects.h"

#include <algorithm>
#include <cmath>

#include "text/jinja/args.h"
#include "text/jinja/number.h"
#include "text/jinja/ops.h"
#include "text/jinja/repr.h"
#include "text/jinja/unicode.h"

namespace transom::jinja {
namespace {

constexpr int64_t kMaxRange = 100000;

Value view_entry(Env& env, const DictView& view, size_t i) {
  const auto& [k, v] = view.dict.dict().entries[i];
  switch (view.kind) {
    case DictView::Kind::kKeys: return k;
    case DictView::Kind::kValues: return v;
    default: return env.tuple({k, v});
  }
}

std::vector<Value> view_entries(Env& env, const DictView& view) {
  std::vector<Value> out;
  for (size_t i = 0; i < view.dict.dict().entries.size(); ++i) out.push_back(view_entry(env, view, i));
  return out;
}

const DictView* set_view(const Value& v) {
  const auto* view = v.as<DictView>();
  return view && view->kind != DictView::Kind::kValues ? view : nullptr;
}

bool subset(Env& env, const Value& a, const Value& b) {
  for (const Value& v : view_entries(env, *a.as<DictView>()))
    if (!contains(env, b, v)) return false;
  return true;
}

}  // namespace

// Range

Range::Range(Heap* heap, int64_t a, int64_t b, int64_t s) : Object(heap, 96), start(a), stop(b), step(s) {
  if (step > 0) count = start < stop ? (stop - start - 1) / step + 1 : 0;
  else count = stop < start ? (start - stop - 1) / -step + 1 : 0;
}

Value make_range(Env& env, const Value& start, const Value& stop, const Value& step) {
  constexpr int64_t kBound = int64_t{1} << 61;
  const int64_t a = index_arg(start), b = index_arg(stop), s = index_arg(step);
  if (s == 0) raise(Exc::kValue, "range() arg 3 must not be zero");
  if (std::max({std::abs(a), std::abs(b), std::abs(s)}) > kBound) raise(Exc::kLimit, "expected smaller arguments of range()");
  Value r = make_object<Range>(env, a, b, s);
  if (r.as<Range>()->count > kMaxRange)
    raise(Exc::kOverflow, "Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).");
  return r;
}

std::string Range::repr(Env&) {
  std::string out = "range(" + std::to_string(start) + ", " + std::to_string(stop);
  if (step != 1) out += ", " + std::to_string(step);
  return out + ")";
}

bool Range::contains(const Value& v) const {
  if (!v.is_number()) return false;
  if (v.is(Type::kFloat) && (std::floor(v.real()) != v.real() || std::fabs(v.real()) >= 0x1p63)) return false;
  const int64_t i = v.is(Type::kFloat) ? static_cast<int64_t>(v.real()) : clamp_int(v);
  if (count == 0) return false;
  const int64_t last = start + (count - 1) * step;
  return i >= std::min(start, last) && i <= std::max(start, last) && (i - start) % step == 0;
}

Value Range::attribute(Env& env, std::string_view name) {
  if (name == "start") return Value::integer(start);
  if (name == "stop") return Value::integer(stop);
  if (name == "step") return Value::integer(step);
  const Value self(Type::kObject, this);
  const auto method = [&](Native f) { return make_object<Method>(env, std::string(name), self, f); };
  if (name == "count")
    return method([](Env&, const Value& s, Args& args) {
      const Bound b = bind(args, "count", {"value"}, 1, Keywords::kRefused);
      return Value::integer(s.as<Range>()->contains(b[0]) ? 1 : 0);
    });
  if (name == "index")
    return method([](Env&, const Value& s, Args& args) {
      const Bound b = bind(args, "index", {"value"}, 1, Keywords::kRefused);
      const auto* r = s.as<Range>();
      if (!r->contains(b[0])) raise(Exc::kValue, "value is not in range");
      const int64_t i = b[0].is(Type::kFloat) ? static_cast<int64_t>(b[0].real()) : clamp_int(b[0]);
      return Value::integer((i - r->start) / r->step);
    });
  return {};
}

Value Range::item(Env&, const Value& key) {
  if (!key.is_int()) raise(Exc::kType, "range indices must be integers or slices");
  int64_t i = clamp_int(key);
  if (i < 0) i += count;
  if (i < 0 || i >= count) raise(Exc::kIndex, "range object index out of range");
  return Value::integer(start + i * step);
}

Value Range::iterate(Env& env) {
  int64_t i = 0;
  return make_object<SourceIterator>(env, Value(Type::kObject, this), [i](Env&, const Value& source, Value& out) mutable {
    const auto* r = source.as<Range>();
    if (i >= r->count) return false;
    out = Value::integer(r->start + i++ * r->step);
    return true;
  });
}

Value Range::reversed(Env& env) {
  return make_object<Range>(env, start + (count - 1) * step, start - step, -step).object().iterate(env);
}

// Views

std::string DictView::type_name() const {
  return kind == Kind::kKeys ? "dict_keys" : kind == Kind::kValues ? "dict_values" : "dict_items";
}

std::string DictView::repr(Env& env) {
  return type_name() + "(" + jinja::repr(env, env.list(view_entries(env, *this))) + ")";
}

Value DictView::attribute(Env&, std::string_view name) { return name == "mapping" ? dict : Value(); }

Value DictView::iterate(Env& env) {
  size_t i = 0;
  return make_object<SourceIterator>(env, Value(Type::kObject, this), [i](Env& e, const Value& source, Value& out) mutable {
    const auto* view = source.as<DictView>();
    if (i >= view->dict.dict().entries.size()) return false;
    out = view_entry(e, *view, i++);
    return true;
  });
}

Value DictView::reversed(Env& env) {
  std::vector<Value> items = view_entries(env, *this);
  std::reverse(items.begin(), items.end());
  return make_object<VectorIterator>(env, std::move(items), "dict_reverseiterator");
}

Value subtract_views(Env&, const Value& a, const Value& b) {
  if (set_view(a)) raise(Exc::kUnsupported, "sets are not supported");
  raise(Exc::kType, "unsupported operand type(s) for -: '" + type_name(a) + "' and '" + type_name(b) + "'");
}

std::optional<bool> compare_views(Env& env, char op, const Value& a, const Value& b) {
  if (!set_view(a) || !set_view(b)) return std::nullopt;
  const int64_t n = length(env, a), m = length(env, b);
  switch (op) {
    case '<': return n < m && subset(env, a, b);
    case 'l': return n <= m && subset(env, a, b);
    case '>': return n > m && subset(env, b, a);
    default: return n >= m && subset(env, b, a);
  }
}

bool views_equal(Env& env, const Value& a, const Value& b) {
  if (const auto* x = a.as<Range>(); x && b.as<Range>()) {
    const auto* y = b.as<Range>();
    return x->count == y->count && (x->count == 0 || (x->start == y->start && (x->count == 1 || x->step == y->step)));
  }
  return set_view(a) && set_view(b) && length(env, a) == length(env, b) && subset(env, a, b);
}

// Iterators

VectorIterator::VectorIterator(Heap* heap, std::vector<Value> v, std::string name)
    : Iterator(heap, 96 + v.size() * sizeof(Value)), items_(std::move(v)), name_(std::move(name)) {
  for (const Value& item : items_) contain(item);
}

bool VectorIterator::next(Env&, Value& out) {
  if (at_ >= items_.size()) return false;
  out = items_[at_++];
  return true;
}

bool ContainerIterator::next(Env& env, Value& out) {
  if (container_.is_str()) {
    const std::string& s = container_.text();
    if (at_ >= s.size()) return false;
    const size_t begin = at_;
    next_char(s, at_);
    out = env.str(s.substr(begin, at_ - begin));
    return true;
  }
  if (container_.is(Type::kDict)) {
    const auto& entries = container_.dict().entries;
    if (at_ >= entries.size()) return false;
    out = entries[at_++].first;
    return true;
  }
  if (at_ >= container_.items().size()) return false;
  out = container_.items()[at_++];
  return true;
}

bool Generator::next(Env& env, Value& out) {
  if (done_) return false;
  // a generator that raised is finished
  done_ = true;
  if (iterator_.is_missing()) iterator_ = jinja::iterate(env, source_);
  if (!step_(env, iterator_, out)) return false;
  done_ = false;
  return true;
}

// Namespaces

std::string Namespace::repr(Env& env) {
  if (printing) return "<Namespace {...}>";
  printing = true;
  std::string out = "<Namespace {";
  try {
    for (size_t i = 0; i < attributes.size(); ++i) {
      if (i) out += ", ";
      out += repr_string(attributes[i].first) + ": " + jinja::repr(env, attributes[i].second);
      env.check_size(out.size());
    }
  } catch (...) {
    printing = false;
    throw;
  }
  printing = false;
  return out + "}>";
}

Value Namespace::attribute(Env&, std::string_view name) {
  for (const auto& [k, v] : attributes)
    if (k == name) return v;
  return {};
}

void Namespace::set(Env&, const std::string& name, Value v) {
  if (name.starts_with("_"))
    raise(Exc::kSecurity, "Chat templates cannot store underscore-prefixed attributes on a namespace, but got " +
                              repr_string(name) + ". Please rename the attribute.");
  for (auto& [k, old] : attributes)
    if (k == name) {
      old = std::move(v);
      return;
    }
  grow(48 + name.size());
  attributes.emplace_back(name, std::move(v));
}

Env::~Env() {
  // breaks the cycles that namespaces and closures can be part of
  for (const Value& ns : namespaces) static_cast<Namespace*>(ns.obj())->attributes.clear();
}

// Cyclers and joiners

Cycler::Cycler(Heap* heap, std::vector<Value> v) : Object(heap, 64 + v.size() * sizeof(Value)), items(std::move(v)) {
  for (const Value& item : items) contain(item);
}

Value Cycler::attribute(Env& env, std::string_view name) {
  if (name == "current") return items[position];
  if (name == "pos") return Value::integer(static_cast<int64_t>(position));
  if (name == "items") return env.tuple(items);
  const Value self(Type::kObject, this);
  if (name == "next")
    return make_object<Method>(env, "next", self, [](Env&, const Value& s, Args& args) {
      bind(args, "next", {}, 0);
      auto* c = s.as<Cycler>();
      Value v = c->items[c->position];
      c->position = (c->position + 1) % c->items.size();
      return v;
    });
  if (name == "reset")
    return make_object<Method>(env, "reset", self, [](Env&, const Value& s, Args& args) {
      bind(args, "reset", {}, 0);
      s.as<Cycler>()->position = 0;
      return Value::none();
    });
  return {};
}

Value Joiner::call(Env& env, Args& args) {
  bind(args, "joiner", {}, 0);
  if (used) return separator;
  used = true;
  return env.str("");
}

Value Joiner::attribute(Env&, std::string_view name) {
  if (name == "sep") return separator;
  if (name == "used") return Value::boolean(used);
  return {};
}

}  // namespace transom::jinja
