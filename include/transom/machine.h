// What this machine offers and what this build of the library can use of it: what `transom doctor` shows.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace transom {

struct Gpu {
  std::string name;
  uint64_t memory = 0;      // bytes
  int capability = 0;       // 10 * major + minor: 90 is sm_90
};

struct Machine {
  std::string cpu;                 // brand string
  std::vector<std::string> isa;    // instruction sets that kernels may use, named as in /proc/cpuinfo
  int logical_cpus = 1;            // in the affinity mask
  int cores = 1;                   // hardware threads of one core counted once
  double cpu_limit = 0;            // container's limit in processors; 0 = none
  int default_threads = 1;         // what --threads is when it is not given
  uint64_t memory = 0;             // bytes of RAM, or the container's limit
  uint64_t l1d = 0, l2 = 0, l3 = 0;
  std::vector<Gpu> gpus;
  std::string gpu_note;            // why there are none: no driver, no device, the driver's error
  int cuda_driver = 0;             // 12040 is 12.4; 0 = no driver
};

// Probes at every call (some milliseconds, more where a GPU driver wakes up); never throws for absent hardware.
Machine probe_machine();

// What the machine can do at most, measured: the roof that benches compare with.
struct MachineLimits {
  double dram_gb_s = 0;  // sequential reads by all threads, the best of a few passes
  double tflops = 0;     // 2 * multiply-adds a second of the widest floating-point dot product: bf16 where there is one, else fp32
  std::string unit;      // "bf16 avx512", "fp32 avx512", "fp32 avx2"
};
// Takes some tenths of a second and 512 MiB; `threads` as for --threads.
MachineLimits probe_machine_limits(int threads);

struct BuildInfo {
  std::string version;    // "0.1.0"
  std::string compiler;   // "gcc 12.2.0"
  bool cuda = false;      // CUDA kernels are built in
  bool sanitized = false;  // a sanitizer build: slow, for tests
};
BuildInfo build_info();

}  // namespace transom
