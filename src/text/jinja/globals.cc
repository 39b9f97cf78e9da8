// Global functions of templates: jinja2's own, and those that transformers adds (dict and namespace are its guarded ones).
#include <ctime>

#include "text/jinja/args.h"
#include "text/jinja/builtins.h"
#include "text/jinja/objects.h"
#include "text/jinja/ops.h"
#include "text/jinja/repr.h"

namespace transom::jinja {
namespace {

Value global_range(Env& env, const Value&, Args& args) {
  const Bound b = bind(args, "range", {"start", "stop", "step"}, 1, Keywords::kRefused);
  if (!b.has(1)) return make_range(env, Value::integer(0), b[0], Value::integer(1));
  return make_range(env, b[0], b[1], b.get(2, Value::integer(1)));
}

// dict(mapping or pairs, **named)
void fill_dict(Env& env, const Args& args, DictMaker& m) {
  if (args.positional.size() > 1) raise(Exc::kType, "dict expected at most 1 argument, got " + std::to_string(args.positional.size()));
  if (!args.positional.empty()) {
    const Value& from = args.positional[0];
    if (from.is(Type::kDict)) {
      for (const auto& [k, v] : from.dict().entries) m.set(k, v);
    } else {
      for (const Value& pair : to_vector(env, from)) {
        const std::vector<Value> kv = to_vector(env, pair);
        if (kv.size() != 2) raise(Exc::kValue, "dictionary update sequence element has length " + std::to_string(kv.size()) + "; 2 is required");
        m.set(kv[0], kv[1]);
      }
    }
  }
  for (const auto& [k, v] : args.named) m.set(k, v);
}

// The `dict` of templates: callable, with fromkeys.
struct DictGlobal : Object {
  explicit DictGlobal(Heap* heap) : Object(heap, 64) {}
  std::string type_name() const override { return "TemplateDict"; }
  bool callable() const override { return true; }
  Value call(Env& env, Args& args) override {
    DictMaker m(env);
    fill_dict(env, args, m);
    return m.take();
  }
  Value attribute(Env& env, std::string_view name) override {
    if (name != "fromkeys") return {};
    return make_object<Method>(env, "fromkeys", Value(), find_method(DictMaker(env).take(), "fromkeys"));
  }
};

Value global_namespace(Env& env, const Value&, Args& args) {
  DictMaker m(env);
  fill_dict(env, args, m);
  auto* ns = new Namespace(&env.heap);
  Value v(Type::kObject, ns);
  env.namespaces.push_back(v);
  for (const auto& [key, value] : m.peek().entries)
    if (key.is_str()) ns->set(env, key.text(), value);
  return v;
}

Value global_cycler(Env& env, const Value&, Args& args) {
  if (!args.named.empty()) raise(Exc::kType, "cycler() got an unexpected keyword argument");
  if (args.positional.empty()) raise(Exc::kRuntime, "at least one item has to be provided");
  return make_object<Cycler>(env, args.positional);
}

Value global_joiner(Env& env, const Value&, Args& args) {
  const Bound b = bind(args, "joiner", {"sep"}, 0);
  return make_object<Joiner>(env, b.get(0, env.str(", ")));
}

Value global_raise(Env& env, const Value&, Args& args) {
  const Bound b = bind(args, "raise_exception", {"message"}, 1);
  raise(Exc::kTemplate, to_str(env, b[0]));
}

Value global_strftime(Env& env, const Value&, Args& args) {
  const Bound b = bind(args, "strftime_now", {"format"}, 1);
  const auto now = env.now.value_or(std::chrono::system_clock::now());
  const std::time_t seconds = std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(now));
  const auto micros = std::chrono::duration_cast<std::chrono::microseconds>(now - std::chrono::floor<std::chrono::seconds>(now)).count();
  std::tm local{};
  localtime_r(&seconds, &local);
  // %f is Python's own; a local time without zone has neither %z nor %Z
  const std::string& given = str_arg(b[0], "strftime");
  std::string format, out;
  for (size_t i = 0; i < given.size(); ++i) {
    if (given[i] != '%' || i + 1 >= given.size()) {
      format += given[i];
      continue;
    }
    const char c = given[++i];
    if (c == 'f') format += std::to_string(1000000 + micros).substr(1);
    else if (c != 'z' && c != 'Z') format += '%', format += c;
  }
  // one character more, so that an empty result differs from a buffer that is too small
  format += ' ';
  env.check_size(format.size() * 64);
  out.resize(format.size() * 64 + 64);
  out.resize(std::strftime(out.data(), out.size(), format.c_str(), &local));
  if (!out.empty()) out.pop_back();
  return env.str(std::move(out));
}

Value global_lipsum(Env&, const Value&, Args&) { raise(Exc::kUnsupported, "lipsum() is not supported"); }

}  // namespace

Value find_global(Env& env, std::string_view name) {
  if (name == "dict") return make_object<DictGlobal>(env);
  constexpr std::pair<std::string_view, Native> kFunctions[] = {
      {"range", global_range}, {"namespace", global_namespace}, {"cycler", global_cycler}, {"joiner", global_joiner},
      {"raise_exception", global_raise}, {"strftime_now", global_strftime}, {"lipsum", global_lipsum}};
  for (const auto& [n, f] : kFunctions)
    if (n == name) return make_object<Method>(env, std::string(n), Value(), f);
  return {};
}

}  // namespace transom::jinja
