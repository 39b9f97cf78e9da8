// Sharing a linear call among threads: see linear.cc.
#pragma once

#include "kernels/cpu/primitives.h"

namespace transom::cpu {

// With `one_order`, every number of rows goes through the kernel of few rows.
void run_linear(const Primitives& p, const LinearArgs& a, Stream& s, bool one_order);
void run_attention(const Primitives& p, const AttentionArgs& a, Stream& s);

}  // namespace transom::cpu
