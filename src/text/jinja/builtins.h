// The registries of filters, tests and global functions.
#pragma once

#include <string_view>

#include "text/jinja/env.h"

namespace transom::jinja {

// A filter's first positional argument is the value it is applied to; so is a test's.
using Filter = Value (*)(Env& env, Args& args);
using Test = bool (*)(Env& env, Args& args);

Filter find_filter(std::string_view name);  // null when there is no such one
Test find_test(std::string_view name);
Value find_global(Env& env, std::string_view name);  // missing

// The parts of the filter registry.
Filter find_text_filter(std::string_view name);
Filter find_layout_filter(std::string_view name);
Filter find_sequence_filter(std::string_view name);
Filter find_selection_filter(std::string_view name);
Filter find_value_filter(std::string_view name);

}  // namespace transom::jinja
