// Limits that a container or a systemd slice puts on this process: CPU time and memory, from cgroup v2 or v1.
// A limit of any ancestor group counts, so the walk goes from the process's own group up to the mount's root.
// Sources: the kernel's admin-guide/cgroup-v2 (cpu.max, memory.max) and cgroup-v1 (cpu.cfs_quota_us, memory.limit_in_bytes).
#pragma once

#include <cstdint>
#include <string>

namespace transom {

struct CgroupLimits {
  double cpus = 0;        // CPU seconds a second; 0 = no limit
  uint64_t memory = 0;    // bytes; 0 = no limit
};

// `root` is put before /proc and the mount points; tests give a made-up tree. Unreadable files mean no limit.
CgroupLimits cgroup_limits(const std::string& root = "");

}  // namespace transom
