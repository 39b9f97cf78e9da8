// A matcher for the shape of regular expression that pre-tokenizers nearly always have: alternatives, each a sequence of
// quantified character classes, optionally with literal groups ((?i:'s|'t)) and a closing (?!\S). GPT-2, Llama 3, Qwen,
// o200k, DeepSeek, Tekken and their kin all fit. Backtracks as Oniguruma does: first alternative, longest repetition first.
#pragma once

#include <memory>
#include <string_view>

#include "text/regex.h"

namespace transom::text {

// The matcher, or null when the pattern is of another shape (or could match nothing).
std::shared_ptr<const Regex> compile_pattern_matcher(std::string_view pattern);

}  // namespace transom::text
