#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace xception {

/// What this process may use of the machine's processors.
struct Processors {
  int allowed = 1;                   ///< logical ones in its affinity mask (taskset, Slurm, cpuset)
  int cores = 1;                     ///< physical ones among them
  std::optional<double> quota = {};  ///< of its control group and all above it, in processors
  /// Threads that compute: one a core, as hyper-threads of one core share its arithmetic, and no
  /// more than the quota has whole processors, as threads beyond it only wait for the next period.
  int threads = 1;
  /// Why so many: `2 cores`, `1: a CPU quota of 1.50 of 8 cores`.
  std::string reason = "";
};

/// Looks at the affinity mask, the cores, and the CPU quota of cgroup v1 and v2. What cannot be
/// read counts as no limit. `root` stands for `/`.
[[nodiscard]] Processors usable_processors(const std::filesystem::path& root = "/");

}  // namespace xception
