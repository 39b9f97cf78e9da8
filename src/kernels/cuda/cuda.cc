// The CUDA table: device memory, copies, errors, and the check that there is a device; see kernels.h and rows.h. The CUDA
// runtime is linked statically and opens the driver when it is first asked for something, so that the program starts without one.
#include "base/error.h"
#include "kernels/cuda/rows.h"

namespace transom {
namespace cuda {
namespace {

std::shared_ptr<std::byte> allocate(size_t bytes) {
  void* p = nullptr;
  if (const cudaError_t error = cudaMalloc(&p, bytes > 0 ? bytes : 1); error != cudaSuccess) {
    cudaGetLastError();  // forgotten: the next launch must not report it again
    size_t free = 0, total = 0;
    if (error != cudaErrorMemoryAllocation || cudaMemGetInfo(&free, &total) != cudaSuccess) check(error, "cuda memory");
    fail(Code::kResource, "cuda memory", "expected {} bytes of device memory, got {} free of {}", bytes, free, total);
  }
  return {static_cast<std::byte*>(p), [](std::byte* q) { cudaFree(q); }};
}

void copy(void* dst, const void* src, size_t bytes, cudaMemcpyKind kind, Stream& s) {
  if (bytes > 0) check(cudaMemcpyAsync(dst, src, bytes, kind, stream_of(s)), "copy");
}
// The source is pageable host memory, which the runtime has read when it returns.
void copy_to_device(void* dst, const void* src, size_t bytes, Stream& s) { copy(dst, src, bytes, cudaMemcpyHostToDevice, s); }
void copy_to_host(void* dst, const void* src, size_t bytes, Stream& s) {
  copy(dst, src, bytes, cudaMemcpyDeviceToHost, s);
  check(cudaStreamSynchronize(stream_of(s)), "copy_to_host");
}
void copy_on_device(void* dst, const void* src, size_t bytes, Stream& s) { copy(dst, src, bytes, cudaMemcpyDeviceToDevice, s); }
void fill_zero(void* dst, size_t bytes, Stream& s) {
  if (bytes > 0) check(cudaMemsetAsync(dst, 0, bytes, stream_of(s)), "fill_zero");
}

void require_device() {
  constexpr const char* kWhere = "--device cuda";
  constexpr int kOldest = 75;  // compute capability that this build has code for
  int count = 0, device = 0, major = 0, minor = 0, driver = 0;
  if (cudaDriverGetVersion(&driver) == cudaSuccess && driver == 0)
    fail(Code::kUnsupported, kWhere, "expected a CUDA device, got no NVIDIA driver (libcuda.so.1)");
  if (const cudaError_t error = cudaGetDeviceCount(&count); error != cudaSuccess)
    fail(Code::kUnsupported, kWhere, "expected a CUDA device, got: {}", cudaGetErrorString(error));
  if (count == 0) fail(Code::kUnsupported, kWhere, "expected a CUDA device, got none");
  check(cudaGetDevice(&device), kWhere);
  check(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device), kWhere);
  check(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device), kWhere);
  if (10 * major + minor < kOldest)
    fail(Code::kUnsupported, kWhere, "expected a device of compute capability {}.{} or newer, got {}.{}", kOldest / 10, kOldest % 10, major, minor);
}

}  // namespace

void check(cudaError_t error, const char* op) {
  if (error == cudaSuccess) return;
  fail(error == cudaErrorMemoryAllocation ? Code::kResource : Code::kInternal, op, "expected the CUDA device to go on, got: {}",
       cudaGetErrorString(error));
}

void launched(const char* op) { check(cudaGetLastError(), op); }

void expect_activations(const char* op, std::initializer_list<DType> types) {
  for (const DType t : types)
    if (t != DType::kF32 && t != DType::kBF16 && t != DType::kF16)
      fail(Code::kInternal, op, "expected F32, BF16 or F16 activations, got {}", name(t));
}

void refuse_format(const char* op, DType format) {
  fail(Code::kUnsupported, op, "expected weights of F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K or Q6_K on CUDA, got {}",
       name(format));
}

}  // namespace cuda

const Kernels& cuda_kernels() {
  static constexpr Kernels table = {
      .name = "cuda",
      .host_memory = false,
      .allocate = cuda::allocate,
      .copy_to_device = cuda::copy_to_device,
      .copy_to_host = cuda::copy_to_host,
      .copy_on_device = cuda::copy_on_device,
      .fill_zero = cuda::fill_zero,
      .embedding = cuda::embedding,
      .linear = cuda::linear,
      .rms_norm = cuda::rms_norm,
      .layer_norm = cuda::layer_norm,
      .rope_table = cuda::rope_table,
      .rope = cuda::rope,
      .kv_write = cuda::kv_write,
      .attention = cuda::attention,
      .act_mul = cuda::act_mul,
      .axpby = cuda::axpby,
      .softcap = cuda::softcap,
      .clamp = cuda::clamp,
      .row_cutoff = cuda::row_cutoff,
      .scale_columns = cuda::scale_columns,
      .match_rms = cuda::match_rms,
      .position_growth = cuda::position_growth,
      .unfold_rows = cuda::unfold_rows,
      .gather_rows = cuda::gather_rows,
      .combine_rows = cuda::combine_rows,
  };
  cuda::require_device();
  return table;
}

}  // namespace transom
