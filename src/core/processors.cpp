#include "xception/core/processors.h"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <sstream>
#include <vector>

namespace xception {
namespace {

namespace fs = std::filesystem;

std::string first_line_of(const fs::path& file) {
  std::ifstream stream(file);
  std::string line;
  std::getline(stream, line);
  return line;
}

std::vector<int> affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> processors;
  if (::sched_getaffinity(0, sizeof(set), &set) != 0) return {0};
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(static_cast<unsigned>(i), &set)) processors.push_back(i);
  }
  return processors;
}

int cores_of(const std::vector<int>& processors, const fs::path& root) {
  std::set<std::string> cores;
  for (const int processor : processors) {
    const auto folder = root / fmt::format("sys/devices/system/cpu/cpu{}/topology", processor);
    // Logical processors of one core name the same siblings.
    const auto siblings = first_line_of(folder / "thread_siblings_list");
    cores.insert(siblings.empty() ? fmt::format("processor {}", processor) : siblings);
  }
  return static_cast<int>(cores.size());
}

/// `50000` and `100000` -> 0.5; nothing for `max`, -1 and what is no number.
std::optional<double> share(const std::string& quota, const std::string& period) {
  std::istringstream quotas(quota);
  std::istringstream periods(period);
  double part = 0.0;
  double whole = 0.0;
  if (!(quotas >> part) || !(periods >> whole) || part <= 0.0 || whole <= 0.0) return std::nullopt;
  return part / whole;
}

std::optional<double> quota_in(const fs::path& folder, bool unified) {
  if (!unified) {
    return share(first_line_of(folder / "cpu.cfs_quota_us"),
                 first_line_of(folder / "cpu.cfs_period_us"));
  }
  std::istringstream line(first_line_of(folder / "cpu.max"));
  std::string quota;
  std::string period;
  line >> quota >> period;
  return share(quota, period);
}

/// The least of a group and all that it lies in, up to where the hierarchy is mounted. In a
/// container the group's path may be the host's: then the mount itself is the container's group.
std::optional<double> quota_below(const fs::path& mount, const std::string& group, bool unified) {
  std::optional<double> least;
  const auto take = [&](const fs::path& folder) {
    const auto quota = quota_in(folder, unified);
    if (quota && (!least || *quota < *least)) least = quota;
  };
  std::error_code error;
  for (auto path = fs::path(group).relative_path(); !path.empty(); path = path.parent_path()) {
    if (fs::is_directory(mount / path, error)) take(mount / path);
  }
  take(mount);
  return least;
}

bool lists(const std::string& comma_list, const std::string& item) {
  return ("," + comma_list + ",").find("," + item + ",") != std::string::npos;
}

std::optional<double> find_quota(const fs::path& root) {
  // Lines such as `4:cpu,cpuacct:/docker/1234` (v1) and `0::/user.slice` (v2).
  std::string group_v1;
  std::string group_v2;
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const auto first = line.find(':');
    const auto second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const auto controllers = line.substr(first + 1, second - first - 1);
    if (controllers.empty()) group_v2 = line.substr(second + 1);
    if (lists(controllers, "cpu")) group_v1 = line.substr(second + 1);
  }
  // `36 25 0:31 / /sys/fs/cgroup/cpu rw,nosuid - cgroup cgroup rw,cpu`: the fifth word is where,
  // and after the dash come the kind and, as the third, the options.
  std::optional<double> least;
  std::ifstream mounts(root / "proc/self/mountinfo");
  for (std::string line; std::getline(mounts, line);) {
    const auto dash = line.find(" - ");
    if (dash == std::string::npos) continue;
    std::istringstream before(line.substr(0, dash));
    std::istringstream after(line.substr(dash + 3));
    std::string word;
    std::string where;
    for (int i = 0; i < 5; ++i) before >> (i == 4 ? where : word);
    std::string kind;
    std::string source;
    std::string options;
    after >> kind >> source >> options;
    const bool unified = kind == "cgroup2";
    if (!unified && !(kind == "cgroup" && lists(options, "cpu"))) continue;
    const auto quota =
        quota_below(root / fs::path(where).relative_path(), unified ? group_v2 : group_v1, unified);
    if (quota && (!least || *quota < *least)) least = quota;
  }
  return least;
}

}  // namespace

Processors usable_processors(const fs::path& root) {
  Processors found;
  const auto processors = affinity();
  found.allowed = std::max(1, static_cast<int>(processors.size()));
  found.cores = std::max(1, cores_of(processors, root));
  found.quota = find_quota(root);
  found.threads = found.cores;
  const auto cores = fmt::format("{} core{}", found.cores, found.cores == 1 ? "" : "s");
  found.reason = found.allowed == found.cores
                     ? cores
                     : fmt::format("{} of {} hyper-threads", cores, found.allowed);
  if (found.quota && *found.quota < found.cores) {
    // A quota such as 1.9999 is one of two that somebody computed.
    found.threads = std::max(1, static_cast<int>(*found.quota + 0.01));
    found.reason = fmt::format("a CPU quota of {:.2f} on {}", *found.quota, cores);
  }
  return found;
}

}  // namespace xception
