// cgroup_limits(): see cgroup.h. Finds the hierarchies in /proc/self/mountinfo and the groups in /proc/self/cgroup.
#include "base/cgroup.h"

#include <algorithm>
#include <fstream>
#include <optional>
#include <sstream>
#include <vector>

namespace transom {
namespace {

struct Mount {
  std::string root;         // which group the mount shows at its top
  std::string point;
  bool v2 = false;
  std::string controllers;  // ",cpu,cpuacct," for v1
};

std::optional<std::string> first_line(const std::string& path) {
  std::ifstream in(path);
  std::string line;
  if (!std::getline(in, line)) return std::nullopt;
  return line;
}

// mountinfo: "36 35 98:0 /root /point options … - fstype source super-options".
std::vector<Mount> cgroup_mounts(const std::string& prefix) {
  std::vector<Mount> mounts;
  std::ifstream in(prefix + "/proc/self/mountinfo");
  for (std::string line; std::getline(in, line);) {
    const size_t dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream left(line.substr(0, dash)), right(line.substr(dash + 3));
    std::string id, parent, device, type, source, options;
    Mount m;
    left >> id >> parent >> device >> m.root >> m.point;
    right >> type >> source >> options;
    if (type != "cgroup" && type != "cgroup2") continue;
    m.v2 = type == "cgroup2";
    m.controllers = "," + options + ",";
    mounts.push_back(std::move(m));
  }
  return mounts;
}

// The group of this process in the hierarchy with `controller`, or in the v2 hierarchy when it is empty.
std::optional<std::string> own_group(const std::string& prefix, const std::string& controller) {
  std::ifstream in(prefix + "/proc/self/cgroup");
  for (std::string line; std::getline(in, line);) {
    const size_t a = line.find(':');
    const size_t b = a == std::string::npos ? a : line.find(':', a + 1);
    if (b == std::string::npos) continue;
    const std::string names = "," + line.substr(a + 1, b - a - 1) + ",";
    const bool match = controller.empty() ? names == ",," : names.find("," + controller + ",") != std::string::npos;
    if (match) return line.substr(b + 1);
  }
  return std::nullopt;
}

// Directories from the process's group up to the top of the mount.
std::vector<std::string> group_dirs(const std::string& prefix, const Mount& mount, std::string group) {
  if (mount.root != "/" && group.compare(0, mount.root.size(), mount.root) == 0) group.erase(0, mount.root.size());
  const bool outside = group.find("..") != std::string::npos;
  std::vector<std::string> dirs;
  while (!outside && group.size() > 1) {
    dirs.push_back(prefix + mount.point + group);
    const size_t slash = group.rfind('/');
    group.erase(slash == std::string::npos ? 0 : slash);
  }
  dirs.push_back(prefix + mount.point);
  return dirs;
}

void tighten_cpus(CgroupLimits& limits, double quota, double period) {
  if (!(quota > 0) || !(period > 0)) return;
  const double cpus = quota / period;
  limits.cpus = limits.cpus > 0 ? std::min(limits.cpus, cpus) : cpus;
}

void tighten_memory(CgroupLimits& limits, const std::optional<std::string>& line) {
  if (!line) return;
  uint64_t bytes = 0;
  if (!(std::istringstream(*line) >> bytes)) return;       // "max"
  if (bytes == 0 || bytes >= (uint64_t{1} << 60)) return;  // v1 writes a huge number for "no limit"
  limits.memory = limits.memory ? std::min(limits.memory, bytes) : bytes;
}

void read_v2(CgroupLimits& limits, const std::string& dir) {
  if (const auto line = first_line(dir + "/cpu.max")) {
    double quota = 0, period = 0;
    if (std::istringstream(*line) >> quota >> period) tighten_cpus(limits, quota, period);
  }
  tighten_memory(limits, first_line(dir + "/memory.max"));
}

void read_v1_cpu(CgroupLimits& limits, const std::string& dir) {
  const auto quota = first_line(dir + "/cpu.cfs_quota_us"), period = first_line(dir + "/cpu.cfs_period_us");
  double q = 0, p = 0;
  if (quota && period && std::istringstream(*quota) >> q && std::istringstream(*period) >> p) tighten_cpus(limits, q, p);
}

}  // namespace

CgroupLimits cgroup_limits(const std::string& root) {
  CgroupLimits limits;
  for (const Mount& mount : cgroup_mounts(root)) {
    if (mount.v2) {
      if (const auto group = own_group(root, ""))
        for (const std::string& dir : group_dirs(root, mount, *group)) read_v2(limits, dir);
      continue;
    }
    for (const char* controller : {"cpu", "memory"}) {
      if (mount.controllers.find(std::string(",") + controller + ",") == std::string::npos) continue;
      const auto group = own_group(root, controller);
      if (!group) continue;
      for (const std::string& dir : group_dirs(root, mount, *group)) {
        if (controller[0] == 'c') read_v1_cpu(limits, dir);
        else tighten_memory(limits, first_line(dir + "/memory.limit_in_bytes"));
      }
    }
  }
  return limits;
}

}  // namespace transom
