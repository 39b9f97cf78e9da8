// Argument binding: see args.h.
#include "text/jinja/args.h"

#include "text/jinja/ops.h"

namespace transom::jinja {

Bound bind(const Args& args, std::string_view function, std::initializer_list<std::string_view> names, size_t required,
           Keywords keywords) {
  Bound b;
  const std::string f(function);
  if (args.positional.size() > names.size())
    raise(Exc::kType, f + "() takes at most " + std::to_string(names.size()) + " arguments (" +
                          std::to_string(args.positional.size()) + " given)");
  for (size_t i = 0; i < args.positional.size(); ++i) b.values[i] = args.positional[i];
  if (!args.named.empty() && keywords == Keywords::kRefused) raise(Exc::kType, f + "() takes no keyword arguments");
  for (const auto& [name, value] : args.named) {
    size_t i = 0;
    for (const std::string_view n : names) {
      if (n == name) break;
      ++i;
    }
    if (i == names.size()) raise(Exc::kType, f + "() got an unexpected keyword argument '" + name + "'");
    if (b.has(i)) raise(Exc::kType, f + "() got multiple values for argument '" + name + "'");
    b.values[i] = value;
  }
  for (size_t i = 0; i < required; ++i)
    if (!b.has(i)) raise(Exc::kType, f + "() missing required argument: '" + std::string(names.begin()[i]) + "'");
  return b;
}

const std::string& str_arg(const Value& v, std::string_view function) {
  if (!v.is_str()) raise(Exc::kType, std::string(function) + "() argument must be str, not " + type_name(v));
  return v.text();
}

int64_t int_arg(const Bound& b, size_t i, int64_t otherwise) { return b.has(i) ? index_arg(b[i]) : otherwise; }

bool bool_arg(Env& env, const Bound& b, size_t i, bool otherwise) { return b.has(i) ? truthy(env, b[i]) : otherwise; }

}  // namespace transom::jinja
