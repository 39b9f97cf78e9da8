// probe_machine() and build_info(): see transom/machine.h. GPUs are asked for through the driver library if it is
// there (CUDA Driver API: cuInit, cuDeviceGet*), opened at run time so that no build depends on it.
#include "transom/machine.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <memory>

#include "base/cpu.h"

namespace transom {
namespace {

class CudaDriver {
 public:
  CudaDriver() : library_(dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL), [](void* l) { if (l) dlclose(l); }) {}
  bool there() const { return library_ != nullptr; }
  // Returns the driver's error code, or -1 when the driver lacks the function.
  template <class... Args>
  int call(const char* name, Args... args) const {
    auto* f = reinterpret_cast<int (*)(Args...)>(dlsym(library_.get(), name));
    return f ? f(args...) : -1;
  }

 private:
  std::unique_ptr<void, void (*)(void*)> library_;
};

Gpu describe_gpu(const CudaDriver& driver, int index) {
  constexpr int kCapabilityMajor = 75, kCapabilityMinor = 76;  // CUdevice_attribute
  Gpu gpu;
  int device = 0, major = 0, minor = 0;
  char name[256] = {};
  size_t bytes = 0;
  driver.call("cuDeviceGet", &device, index);
  if (driver.call("cuDeviceGetName", static_cast<char*>(name), int{sizeof name - 1}, device) == 0) gpu.name = name;
  if (driver.call("cuDeviceTotalMem_v2", &bytes, device) == 0) gpu.memory = bytes;
  driver.call("cuDeviceGetAttribute", &major, kCapabilityMajor, device);
  driver.call("cuDeviceGetAttribute", &minor, kCapabilityMinor, device);
  gpu.capability = 10 * major + minor;
  return gpu;
}

void probe_gpus(Machine& machine) {
  const CudaDriver driver;
  if (!driver.there()) {
    machine.gpu_note = "no CUDA driver (libcuda.so.1)";
    return;
  }
  driver.call("cuDriverGetVersion", &machine.cuda_driver);
  int count = 0;
  int error = driver.call("cuInit", 0u);
  if (error == 0) error = driver.call("cuDeviceGetCount", &count);
  if (error != 0) machine.gpu_note = fmt::format("the CUDA driver gives error {}", error);
  else if (count == 0) machine.gpu_note = "the CUDA driver sees no device";
  for (int i = 0; error == 0 && i < count; ++i) machine.gpus.push_back(describe_gpu(driver, i));
}

}  // namespace

Machine probe_machine() {
  const CpuInfo& info = cpu_info();
  Machine machine;
  machine.cpu = info.brand;
  machine.isa = info.isa.names();
  machine.logical_cpus = info.logical;
  machine.cores = info.physical;
  machine.cpu_limit = info.quota_cpus;
  machine.default_threads = usable_cores();
  machine.memory = info.memory;
  machine.l1d = info.l1d;
  machine.l2 = info.l2;
  machine.l3 = info.l3;
  probe_gpus(machine);
  return machine;
}

BuildInfo build_info() {
  BuildInfo build;
  build.version = TRANSOM_VERSION;
#if defined(__clang__)
  build.compiler = fmt::format("clang {}.{}.{}", __clang_major__, __clang_minor__, __clang_patchlevel__);
#else
  build.compiler = fmt::format("gcc {}.{}.{}", __GNUC__, __GNUC_MINOR__, __GNUC_PATCHLEVEL__);
#endif
#if defined(TRANSOM_HAVE_CUDA)
  build.cuda = true;
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  build.sanitized = true;
#endif
  return build;
}

}  // namespace transom
