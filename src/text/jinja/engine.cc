// Parsing and rendering behind one interface: see engine.h.
#include "text/jinja/engine.h"

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "text/jinja/interpreter.h"
#include "text/jinja/number.h"
#include "text/jinja/parser.h"
#include "text/jinja/unicode.h"

namespace transom::jinja {
namespace {

constexpr uint64_t kExactInteger = 0x696e74;  // subtype of binary values that hold an integer's digits
constexpr size_t kMaxSource = size_t{16} << 20;

[[noreturn]] void rethrow(const PyError& e, const std::string& name) {
  const Code code = e.exc == Exc::kLimit ? Code::kResource : e.exc == Exc::kUnsupported ? Code::kUnsupported : Code::kInvalidArgument;
  std::string message = e.message;
  if (e.exc != Exc::kTemplate) std::replace(message.begin(), message.end(), '\n', ' ');
  throw Error(code, std::move(message), name + ", line " + std::to_string(std::max(e.line, 1)));
}

Value from_json(Env& env, const Json& j, int depth) {
  if (depth > kMaxValueDepth - 50) raise(Exc::kLimit, "expected values nested less deep");
  env.step();
  switch (j.type()) {
    case Json::value_t::boolean: return Value::boolean(j.get<bool>());
    case Json::value_t::number_integer: return Value::integer(j.get<int64_t>());
    case Json::value_t::number_unsigned: {
      const uint64_t u = j.get<uint64_t>();
      if (u <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return Value::integer(static_cast<int64_t>(u));
      return int_from_digits(&env.heap, std::to_string(u));
    }
    case Json::value_t::number_float: return Value::number(j.get<double>());
    case Json::value_t::string: return env.str(valid_utf8(j.get_ref<const std::string&>()));
    case Json::value_t::array: {
      std::vector<Value> items;
      items.reserve(j.size());
      for (const Json& e : j) items.push_back(from_json(env, e, depth + 1));
      return env.list(std::move(items));
    }
    case Json::value_t::object: {
      DictMaker m(env);
      for (const auto& [k, v] : j.items()) m.set(valid_utf8(k), from_json(env, v, depth + 1));
      return m.take();
    }
    case Json::value_t::binary: {
      const auto& b = j.get_binary();
      const std::string digits(b.begin(), b.end());
      const size_t sign = digits.starts_with("-") ? 1 : 0;
      if (!b.has_subtype() || b.subtype() != kExactInteger || digits.size() == sign ||
          digits.find_first_not_of("0123456789", sign) != std::string::npos)
        raise(Exc::kType, "expected a JSON value, got binary data");
      return int_from_digits(&env.heap, digits);
    }
    default: return Value::none();
  }
}

// Turns the parser's events into a Json, keeping the text of integers that no 64-bit number holds.
class ExactReader : public nlohmann::json_sax<Json> {
 public:
  Json root;
  std::string error;

  bool null() override { return put(nullptr); }
  bool boolean(bool v) override { return put(v); }
  bool number_integer(number_integer_t v) override { return put(v); }
  bool number_unsigned(number_unsigned_t v) override { return put(v); }
  bool number_float(number_float_t v, const string_t& text) override {
    if (text.find_first_of(".eE") != std::string::npos) return put(v);
    return put(exact_integer(text));
  }
  bool string(string_t& v) override { return put(std::move(v)); }
  bool binary(binary_t&) override { return false; }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool key(string_t& k) override {
    key_ = std::move(k);
    return true;
  }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& e) override {
    error = "expected JSON, got an error at byte " + std::to_string(position) + ": " + e.what();
    return false;
  }

 private:
  Json* place(Json v) {
    if (stack_.empty()) return &(root = std::move(v));
    Json& top = *stack_.back();
    if (top.is_array()) {
      top.push_back(std::move(v));
      return &top.back();
    }
    return &(top[key_] = std::move(v));
  }
  bool put(Json v) {
    place(std::move(v));
    return true;
  }
  bool open(Json v) {
    stack_.push_back(place(std::move(v)));
    return true;
  }
  bool close() {
    stack_.pop_back();
    return true;
  }
  std::vector<Json*> stack_;
  std::string key_;
};

}  // namespace

struct Template::Tree {
  NodePtr root;
  Resolved resolved;
};

Template::Template(std::string_view source, std::string name) : name_(std::move(name)) {
  if (source.size() > kMaxSource) fail(Code::kInvalidArgument, name_, "expected a template of at most {} bytes, got {}", kMaxSource, source.size());
  try {
    auto tree = std::make_unique<Tree>();
    tree->root = Parser(valid_utf8(source)).parse_template();
    tree->resolved = resolve(*tree->root);
    tree_ = std::move(tree);
  } catch (const PyError& e) {
    rethrow(e, name_);
  }
}

Template::~Template() = default;

std::string Template::render(const Json& variables, const Options& options) const {
  Env env(options.limits);
  env.now = options.now;
  try {
    std::string out;
    {
      std::unordered_map<std::string, Value> values;
      for (const auto& [k, v] : variables.items()) values[k] = from_json(env, v, 0);
      Interpreter interpreter(env, tree_->resolved);
      out = interpreter.run(*tree_->root, std::move(values));
    }
    if (has_surrogate(out)) raise(Exc::kValue, "expected text that UTF-8 can hold, got a lone surrogate");
    return out;
  } catch (PyError& e) {
    if (e.line == 0) e.line = env.line;
    rethrow(e, name_);
  }
}

Json exact_integer(std::string_view digits) {
  return Json::binary(std::vector<uint8_t>(digits.begin(), digits.end()), kExactInteger);
}

Json parse_exact_json(std::string_view text, std::string_view context) {
  parse_json(text, context);  // checks the nesting, and gives the errors that every other JSON file gives
  ExactReader reader;
  if (!Json::sax_parse(text.begin(), text.end(), &reader)) fail(Code::kCorrupt, context, "{}", reader.error);
  return std::move(reader.root);
}

}  // namespace transom::jinja
