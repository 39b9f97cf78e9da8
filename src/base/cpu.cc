// cpu_info(): see cpu.h. Feature bits: Intel SDM vol. 2A "CPUID" (leaves 1, 7.0, 7.1) and vol. 1 ch. 13 (XCR0);
// AMX permission: the kernel's arch/x86/xstate (ARCH_REQ_XCOMP_PERM).
#include "base/cpu.h"

#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <set>

#include "base/cgroup.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace transom {
namespace {

#if defined(__x86_64__)
struct Regs {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

Regs cpuid(uint32_t leaf, uint32_t subleaf = 0) {
  Regs r;
  __get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx);  // leaves zeros when the leaf does not exist
  return r;
}

bool bit(uint64_t word, int n) { return (word >> n) & 1; }

uint64_t xcr0() {
  uint32_t lo = 0, hi = 0;
  __asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
  return (uint64_t{hi} << 32) | lo;
}

// Tile registers are handed out per process on request; without it the first tile instruction raises SIGILL.
bool request_amx() {
  constexpr long kReqXcompPerm = 0x1023, kXfeatureTileData = 18;
  return syscall(SYS_arch_prctl, kReqXcompPerm, kXfeatureTileData) == 0;
}

Isa detect_isa() {
  Isa isa;
  const Regs one = cpuid(1);
  if (!bit(one.ecx, 27)) return isa;  // no OSXSAVE: the system saves no vector state beyond SSE
  const uint64_t os = xcr0();
  const bool ymm = (os & 0x6) == 0x6, zmm = ymm && (os & 0xe0) == 0xe0, tiles = (os & 0x60000) == 0x60000;
  const Regs seven = cpuid(7), seven1 = seven.eax >= 1 ? cpuid(7, 1) : Regs{};
  isa.bmi2 = bit(seven.ebx, 8);
  if (ymm && bit(one.ecx, 28)) {
    isa.fma = bit(one.ecx, 12);
    isa.f16c = bit(one.ecx, 29);
    isa.avx2 = bit(seven.ebx, 5);
    isa.avx_vnni = bit(seven1.eax, 4);
  }
  if (zmm && bit(seven.ebx, 16)) {
    isa.avx512f = true;
    isa.avx512dq = bit(seven.ebx, 17);
    isa.avx512bw = bit(seven.ebx, 30);
    isa.avx512vl = bit(seven.ebx, 31);
    isa.avx512_vbmi = bit(seven.ecx, 1);
    isa.avx512_vnni = bit(seven.ecx, 11);
    isa.avx512_bf16 = bit(seven1.eax, 5);
    isa.avx512_fp16 = bit(seven.edx, 23);
  }
  if (tiles && bit(seven.edx, 24) && request_amx()) {
    isa.amx_tile = true;
    isa.amx_bf16 = bit(seven.edx, 22);
    isa.amx_int8 = bit(seven.edx, 25);
    isa.amx_fp16 = bit(seven1.eax, 21);
  }
  return isa;
}

std::string cpu_vendor() {
  const Regs r = cpuid(0);
  char text[13] = {};
  std::memcpy(text, &r.ebx, 4);
  std::memcpy(text + 4, &r.edx, 4);
  std::memcpy(text + 8, &r.ecx, 4);
  return text;
}

std::string cpu_brand() {
  if (cpuid(0x80000000).eax < 0x80000004) return "";
  char text[49] = {};
  for (uint32_t i = 0; i < 3; ++i) {
    const Regs r = cpuid(0x80000002 + i);
    std::memcpy(text + 16 * i, &r, 16);
  }
  std::string brand = text;
  brand.erase(0, brand.find_first_not_of(' '));
  brand.erase(brand.find_last_not_of(' ') + 1);
  return brand;
}
#else
Isa detect_isa() { return {}; }
std::string cpu_vendor() { return ""; }
std::string cpu_brand() { return ""; }
#endif

std::string sys_line(int cpu, const std::string& leaf) {
  std::ifstream in("/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/" + leaf);
  std::string line;
  std::getline(in, line);
  return line;
}

// The processors of the affinity mask; the mask is grown for machines with over 1024 of them.
std::vector<int> affinity() {
  std::vector<int> cpus;
  for (int room = 1024; room <= (1 << 16); room *= 2) {
    cpu_set_t* set = CPU_ALLOC(room);
    const size_t bytes = CPU_ALLOC_SIZE(room);
    CPU_ZERO_S(bytes, set);
    const bool ok = sched_getaffinity(0, bytes, set) == 0;
    for (int i = 0; ok && i < room; ++i)
      if (CPU_ISSET_S(i, bytes, set)) cpus.push_back(i);
    CPU_FREE(set);
    if (ok) break;
  }
  if (cpus.empty()) cpus.push_back(0);
  return cpus;
}

int count_cores(const std::vector<int>& cpus) {
  std::set<std::string> cores;
  for (int cpu : cpus) {
    const std::string siblings = sys_line(cpu, "topology/thread_siblings_list");
    cores.insert(siblings.empty() ? "cpu" + std::to_string(cpu) : siblings);
  }
  return static_cast<int>(cores.size());
}

void detect_caches(CpuInfo& info, int cpu) {
  for (int index = 0; index < 8; ++index) {
    const std::string dir = "cache/index" + std::to_string(index) + "/";
    const std::string type = sys_line(cpu, dir + "type"), level = sys_line(cpu, dir + "level");
    if (type.empty()) break;
    if (type == "Instruction") continue;
    const uint64_t bytes = std::strtoull(sys_line(cpu, dir + "size").c_str(), nullptr, 10) * 1024;  // written as "32K"
    if (level == "1") info.l1d = bytes;
    if (level == "2") info.l2 = bytes;
    if (level == "3") info.l3 = bytes;
  }
  const auto from_libc = [](int name) { return static_cast<uint64_t>(std::max(0L, sysconf(name))); };
  if (!info.l1d) info.l1d = from_libc(_SC_LEVEL1_DCACHE_SIZE);
  if (!info.l2) info.l2 = from_libc(_SC_LEVEL2_CACHE_SIZE);
  if (!info.l3) info.l3 = from_libc(_SC_LEVEL3_CACHE_SIZE);
}

CpuInfo detect() {
  CpuInfo info;
  info.vendor = cpu_vendor();
  info.brand = cpu_brand();
  info.isa = detect_isa();
  const std::vector<int> cpus = affinity();
  info.logical = static_cast<int>(cpus.size());
  info.physical = count_cores(cpus);
  const CgroupLimits limits = cgroup_limits();
  info.quota_cpus = limits.cpus;
  info.memory = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGE_SIZE));
  if (limits.memory) info.memory = std::min(info.memory, limits.memory);
  detect_caches(info, cpus.front());
  return info;
}

}  // namespace

std::vector<std::string> Isa::names() const {
  const std::pair<bool, const char*> all[] = {
      {avx2, "avx2"}, {fma, "fma"}, {f16c, "f16c"}, {bmi2, "bmi2"}, {avx_vnni, "avx_vnni"},
      {avx512f, "avx512f"}, {avx512bw, "avx512bw"}, {avx512vl, "avx512vl"}, {avx512dq, "avx512dq"},
      {avx512_vbmi, "avx512vbmi"}, {avx512_vnni, "avx512_vnni"}, {avx512_bf16, "avx512_bf16"},
      {avx512_fp16, "avx512_fp16"}, {amx_tile, "amx_tile"}, {amx_int8, "amx_int8"}, {amx_bf16, "amx_bf16"},
      {amx_fp16, "amx_fp16"}};
  std::vector<std::string> names;
  for (const auto& [there, name] : all)
    if (there) names.emplace_back(name);
  return names;
}

const CpuInfo& cpu_info() {
  static const CpuInfo info = detect();
  return info;
}

int usable_cores(const CpuInfo& info) {
  int cores = std::max(1, info.physical);
  if (info.quota_cpus > 0) cores = std::min(cores, static_cast<int>(std::ceil(info.quota_cpus)));
  return std::max(1, cores);
}

int usable_cores() { return usable_cores(cpu_info()); }

}  // namespace transom
