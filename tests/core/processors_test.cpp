#include "xception/core/processors.h"

#include <gmock/gmock.h>
#include <sched.h>

#include <fstream>

#include "support/temporary_folder.h"

namespace xception {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

/// A made-up `/proc` and `/sys`, with the cores of this machine.
class ProcessorsTest : public testing::Test {
 protected:
  void write(const std::string& file, const std::string& text) const {
    fs::create_directories((root / file).parent_path());
    std::ofstream(root / file) << text << "\n";
  }
  /// cgroup v1, as Docker mounts it: the group's path is the host's.
  void old_hierarchy(const std::string& group) const {
    write("proc/self/cgroup", "11:memory:/x\n4:cpu,cpuacct:" + group + "\n1:name=systemd:/");
    write("proc/self/mountinfo",
          "30 25 0:26 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
          "31 25 0:27 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct");
  }
  void new_hierarchy(const std::string& group) const {
    write("proc/self/cgroup", "0::" + group);
    write("proc/self/mountinfo", "29 23 0:25 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw");
  }
  [[nodiscard]] Processors found() const { return usable_processors(root); }

  TemporaryFolder temporary;
  const fs::path& root = temporary.path;
};

TEST_F(ProcessorsTest, NoLimitIsOneThreadACore) {
  const auto processors = found();
  EXPECT_FALSE(processors.quota);
  EXPECT_EQ(processors.threads, processors.cores);
  EXPECT_THAT(processors.reason, HasSubstr("core"));
}

TEST_F(ProcessorsTest, TheAffinityMaskCounts) {
  cpu_set_t before;
  ASSERT_EQ(::sched_getaffinity(0, sizeof(before), &before), 0);
  cpu_set_t one;
  CPU_ZERO(&one);
  for (unsigned i = 0; i < CPU_SETSIZE; ++i) {
    if (!CPU_ISSET(i, &before)) continue;
    CPU_SET(i, &one);
    break;
  }
  ASSERT_EQ(::sched_setaffinity(0, sizeof(one), &one), 0);
  const auto processors = found();
  ::sched_setaffinity(0, sizeof(before), &before);
  EXPECT_EQ(processors.allowed, 1);
  EXPECT_EQ(processors.threads, 1);
}

TEST_F(ProcessorsTest, HyperThreadsOfACoreAreOneThread) {
  // All of this machine's processors as if they were one core's.
  for (int i = 0; i < 256; ++i) {
    const auto folder = "sys/devices/system/cpu/cpu" + std::to_string(i) + "/topology/";
    write(folder + "thread_siblings_list", "0-255");
  }
  const auto processors = found();
  EXPECT_EQ(processors.cores, 1);
  EXPECT_EQ(processors.threads, 1);
  if (processors.allowed > 1) {
    EXPECT_THAT(processors.reason, HasSubstr("hyper-threads"));
  }
}

TEST_F(ProcessorsTest, QuotaOfTheOldHierarchy) {
  old_hierarchy("/docker/1234");
  const std::string folder = "sys/fs/cgroup/cpu,cpuacct/";
  write(folder + "cpu.cfs_quota_us", "-1");
  write(folder + "cpu.cfs_period_us", "100000");
  EXPECT_FALSE(found().quota);
  write(folder + "cpu.cfs_quota_us", "150000");
  EXPECT_EQ(found().quota, 1.5);
  // Its own group, where it can be seen, and the least of all above it.
  write(folder + "docker/1234/cpu.cfs_quota_us", "50000");
  write(folder + "docker/1234/cpu.cfs_period_us", "100000");
  EXPECT_EQ(found().quota, 0.5);
  EXPECT_EQ(found().threads, 1);
  EXPECT_THAT(found().reason, HasSubstr("quota of 0.50"));
}

TEST_F(ProcessorsTest, QuotaOfTheUnifiedHierarchy) {
  new_hierarchy("/user.slice/job");
  write("sys/fs/cgroup/user.slice/job/cpu.max", "max 100000");
  EXPECT_FALSE(found().quota);
  write("sys/fs/cgroup/user.slice/cpu.max", "25000 50000");
  EXPECT_EQ(found().quota, 0.5);
  write("sys/fs/cgroup/cpu.max", "20000 100000");
  EXPECT_EQ(found().quota, 0.2);
}

TEST_F(ProcessorsTest, ALargeQuotaIsNoLimit) {
  new_hierarchy("/");
  write("sys/fs/cgroup/cpu.max", "100000000 100000");
  EXPECT_EQ(found().quota, 1000.0);
  EXPECT_EQ(found().threads, found().cores);
  EXPECT_THAT(found().reason, testing::Not(HasSubstr("quota")));
}

TEST_F(ProcessorsTest, NonsenseIsNoLimit) {
  new_hierarchy("/../../x");
  for (const auto* text : {"", "max", "0 0", "-5 100000", "many 100000", "100000", "1 0"}) {
    write("sys/fs/cgroup/cpu.max", text);
    EXPECT_FALSE(found().quota) << text;
  }
  write("proc/self/cgroup", "no such line");
  write("proc/self/mountinfo", "36 25 - cgroup2\n - \n- - -");
  EXPECT_FALSE(found().quota);
}

}  // namespace
}  // namespace xception
