// The CPU's kernel tables, made of primitives (primitives.h) and the sharing of work among a team's threads.
#pragma once

#include <string_view>
#include <vector>

#include "base/cpu.h"
#include "kernels/kernels.h"

namespace transom::cpu {

// Null for a name that this build does not know or that `isa` cannot run. Names: see table_names.
const Kernels* find_table(std::string_view name, const Isa& isa);
// What `isa` can run, best first, without "ref". A name ending in "+deterministic" is the same set with linear layers
// that add in one order whatever the number of rows; the plain ones take another order for few rows than for many.
std::vector<std::string_view> table_names(const Isa& isa);

}  // namespace transom::cpu
