// What this machine's processor can do and how much of it this process may use. Kernels are chosen by Isa at start
// (never at compile time); thread teams are sized by usable_cores().
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace transom {

// An instruction set counts only when the processor has it and the operating system saves its registers.
struct Isa {
  bool avx2 = false, fma = false, f16c = false, bmi2 = false, avx_vnni = false;
  bool avx512f = false, avx512bw = false, avx512vl = false, avx512dq = false;
  bool avx512_vbmi = false, avx512_vnni = false, avx512_bf16 = false, avx512_fp16 = false;
  bool amx_tile = false, amx_int8 = false, amx_bf16 = false, amx_fp16 = false;

  // The names of those that are there, as in /proc/cpuinfo.
  std::vector<std::string> names() const;
};

struct CpuInfo {
  std::string vendor, brand;
  Isa isa;
  int logical = 1;         // processors in this process's affinity mask
  int physical = 1;        // cores behind them (hardware threads of one core counted once)
  double quota_cpus = 0;   // the container's CPU limit in processors; 0 = none
  uint64_t memory = 0;     // bytes of RAM, or the container's limit if that is less
  uint64_t l1d = 0, l2 = 0, l3 = 0;  // bytes, of the caches that the first usable processor sees; 0 = unknown
};

// Detected once, at the first call. Thread-safe. Asks the kernel for permission to use AMX when the processor has it.
const CpuInfo& cpu_info();

// How many threads a team should have by default: cores in the affinity mask, at most the container's quota, at least 1.
int usable_cores();
int usable_cores(const CpuInfo& info);

}  // namespace transom
