// Stands for the CUDA table in builds without it.
#include "base/error.h"
#include "kernels/kernels.h"

namespace transom {

const Kernels& cuda_kernels() {
  fail(Code::kUnsupported, "--device cuda", "expected CUDA kernels, got a build without them (nvcc 12 or newer was not found, or TRANSOM_CUDA=OFF)");
}

}  // namespace transom
