// Backward rows of the recurrences (kernels.h), for training: all sequences begin with the step, `forward.seqs` has no slots, and
// forward.y is not read. Gradients are F32 and added to; those of parameters may be absent. States are not kept by the forward but
// computed anew, one column of one sequence at a time: N (dk) numbers a row for each thread, and as many for each of a few tasks at a
// time that add to the same gradients of B and C (queries and keys).
#pragma once

#include "kernels/kernels.h"

namespace transom {

struct CausalConvGradArgs {
  CausalConvArgs forward;
  ConstView dy;
  View dx_acc;
  float* dweight_acc = nullptr;  // [C, K]
  float* dbias_acc = nullptr;    // [C]
};
// Where dt is clamped, nothing flows to x.
struct TimeStepGradArgs {
  TimeStepArgs forward;
  ConstView ddt, dlog_decay;  // ddt may be absent
  View dx_acc;
  float *dbias_acc = nullptr, *da_log_acc = nullptr;  // [H]
};
struct LinearRecurrenceGradArgs {
  LinearRecurrenceArgs forward;
  ConstView dy;
  View dq_acc, dk_acc, dv_acc, dlog_decay_acc, dfactor_acc;
  float* dskip_acc = nullptr;  // [heads]
};
struct SelectiveScanGradArgs {
  SelectiveScanArgs forward;
  ConstView dy;
  View dx_acc, ddt_acc, db_acc, dc_acc;
  float *da_log_acc = nullptr, *dskip_acc = nullptr;  // [D, N], [D]
};
struct WkvGradArgs {
  WkvArgs forward;
  ConstView dy;
  View dk_acc, dv_acc;
  float *ddecay_acc = nullptr, *dfirst_acc = nullptr;  // [C]
};

}  // namespace transom
