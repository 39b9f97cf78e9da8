// pprint.pformat with its defaults (80 columns, sorted keys).
#pragma once

#include <string>

#include "text/jinja/env.h"

namespace transom::jinja {

std::string pretty_print(Env& env, const Value& v);

}  // namespace transom::jinja
