// CpuInfo agrees with what the kernel reports; cgroup limits are read from made-up trees of both versions.
#include "base/cpu.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "base/cgroup.h"

namespace transom {
namespace {

namespace fs = std::filesystem;

class FakeRoot {
 public:
  FakeRoot() {
    std::string pattern = (fs::temp_directory_path() / "transom-cgroup-XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  ~FakeRoot() { fs::remove_all(path_); }
  void write(const std::string& name, const std::string& text) {
    const fs::path file = path_ / name.substr(1);
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  std::string path() const { return path_.string(); }

 private:
  fs::path path_;
};

TEST(Cgroup, TheTightestAncestorOfV2Counts) {
  FakeRoot root;
  root.write("/proc/self/mountinfo", "30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n");
  root.write("/proc/self/cgroup", "0::/a.slice/b.scope\n");
  root.write("/sys/fs/cgroup/a.slice/cpu.max", "150000 100000\n");
  root.write("/sys/fs/cgroup/a.slice/b.scope/cpu.max", "max 100000\n");
  root.write("/sys/fs/cgroup/a.slice/memory.max", "max\n");
  root.write("/sys/fs/cgroup/a.slice/b.scope/memory.max", "1073741824\n");
  const CgroupLimits limits = cgroup_limits(root.path());
  EXPECT_DOUBLE_EQ(limits.cpus, 1.5);
  EXPECT_EQ(limits.memory, uint64_t{1} << 30);
}

TEST(Cgroup, V1ControllersHaveTheirOwnMounts) {
  FakeRoot root;
  root.write("/proc/self/mountinfo",
             "40 30 0:30 /docker/x /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"
             "41 30 0:31 /docker/x /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n");
  root.write("/proc/self/cgroup", "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n0::/\n");
  root.write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "300000\n");
  root.write("/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  root.write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "536870912\n");
  const CgroupLimits limits = cgroup_limits(root.path());
  EXPECT_DOUBLE_EQ(limits.cpus, 3.0);
  EXPECT_EQ(limits.memory, uint64_t{512} << 20);
}

TEST(Cgroup, UnlimitedAndUnreadableMeanNoLimit) {
  FakeRoot root;
  EXPECT_EQ(cgroup_limits(root.path()).cpus, 0);
  root.write("/proc/self/mountinfo", "41 30 0:31 / /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\nbroken\n");
  root.write("/proc/self/cgroup", "5:memory:/\nbroken\n");
  root.write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(cgroup_limits(root.path()).memory, 0u);
}

TEST(Cpu, AQuotaBelowTheCoresLowersTheThreadCount) {
  CpuInfo info;
  info.physical = 8;
  EXPECT_EQ(usable_cores(info), 8);
  info.quota_cpus = 2.5;
  EXPECT_EQ(usable_cores(info), 3);
  info.quota_cpus = 0.1;
  EXPECT_EQ(usable_cores(info), 1);
  info.quota_cpus = 64;
  EXPECT_EQ(usable_cores(info), 8);
}

// The kernel's own list is the independent witness: it masks what it does not save, as detection must.
TEST(Cpu, FeaturesAreAmongTheKernelsFlags) {
  std::ifstream in("/proc/cpuinfo");
  std::set<std::string> flags;
  for (std::string line; std::getline(in, line);)
    if (line.rfind("flags", 0) == 0) {
      std::istringstream words(line.substr(line.find(':') + 1));
      for (std::string word; words >> word;) flags.insert(word);
      break;
    }
  if (flags.empty()) GTEST_SKIP() << "no flags in /proc/cpuinfo";
  const std::vector<std::string> names = cpu_info().isa.names();
  const std::set<std::string> found(names.begin(), names.end());
  for (const std::string& name : found) EXPECT_TRUE(flags.count(name)) << name;
  for (const char* name : {"avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512vl", "avx512_vnni", "avx512_bf16"})
    EXPECT_EQ(found.count(name), flags.count(name)) << name;
}

TEST(Cpu, CountsArePlausible) {
  const CpuInfo& info = cpu_info();
  EXPECT_GE(info.logical, info.physical);
  EXPECT_GE(info.physical, 1);
  EXPECT_GT(info.memory, 0u);
  EXPECT_EQ(&cpu_info(), &info);
}

}  // namespace
}  // namespace transom
