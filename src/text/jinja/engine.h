// A parsed Jinja template, set up as transformers sets up jinja2 for chat templates: sandboxed and immutable, trim_blocks,
// lstrip_blocks, loop controls, the generation tag, its tojson, strftime_now and raise_exception.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/json.h"
#include "text/jinja/env.h"

namespace transom::jinja {

class Template {
 public:
  // `name` stands for the template in errors. Throws Error{kInvalidArgument}, context "name, line N".
  Template(std::string_view source, std::string name);
  ~Template();

  struct Options {
    std::optional<std::chrono::system_clock::time_point> now = {};  // freezes strftime_now
    Limits limits = {};
  };
  // Renders with the members of `variables` as names. Thread-safe. Integers beyond 64 bits may be given as
  // exact_integer(). Throws Error: kInvalidArgument, or kResource when a bound is met.
  std::string render(const Json& variables, const Options& options) const;

 private:
  struct Tree;
  std::unique_ptr<const Tree> tree_;
  std::string name_;
};

// An integer of any size as a Json value (a binary value with a subtype of its own); only Template::render reads it.
Json exact_integer(std::string_view digits);
// JSON text where integers beyond 64 bits become exact_integer(). Errors as parse_json's.
Json parse_exact_json(std::string_view text, std::string_view context);

}  // namespace transom::jinja
