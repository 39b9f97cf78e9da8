// Regular expressions with Oniguruma's meaning, as Hugging Face `tokenizers` uses them for Split and Replace.
// Patterns that are alternatives of simple sequences (those of nearly all models) run on a matcher of our own
// (pattern_matcher.h), tested against Oniguruma; everything else runs on Oniguruma. Safe to share between threads.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace transom::text {

struct Match {
  size_t begin, end;
};

class Regex {
 public:
  virtual ~Regex() = default;
  // The leftmost match in valid UTF-8 `s` that starts at or after `from` (<= s.size()).
  virtual std::optional<Match> search(std::string_view s, size_t from) const = 0;

  // Compiles `pattern`; a bad one is Code::kCorrupt with `context`.
  static std::shared_ptr<const Regex> compile(std::string_view pattern, std::string_view context);
  // Always Oniguruma, for tests.
  static std::shared_ptr<const Regex> compile_oniguruma(std::string_view pattern, std::string_view context);
  // Finds a plain string. An empty one matches at every place.
  static std::shared_ptr<const Regex> literal(std::string_view needle);
};

// Walks all matches from left to right: an empty match just after the previous match is not taken.
class MatchIterator {
 public:
  MatchIterator(const Regex& regex, std::string_view s) : regex_(regex), s_(s) {}
  std::optional<Match> next();

 private:
  const Regex& regex_;
  std::string_view s_;
  size_t at_ = 0;
  std::optional<size_t> last_end_;
};

class StageJson;
// The "pattern" of a Split or Replace stage: {"String": …} or {"Regex": …}.
std::shared_ptr<const Regex> pattern_of(const StageJson& stage);

}  // namespace transom::text
