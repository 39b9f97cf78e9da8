// require(): a kernel row, or Error{kUnsupported} naming the op and the table that lacks it.
#pragma once

#include "base/error.h"
#include "ops/ops.h"

namespace transom::ops {

template <class Row>
Row require(const Ctx& cx, Row row, const char* op) {
  if (!row) fail(Code::kUnsupported, op, "expected a kernel in the table {}, got none", cx.kernels.name);
  return row;
}

}  // namespace transom::ops
