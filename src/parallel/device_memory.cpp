#include "xception/parallel/device_memory.h"

#include <malloc.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "cuda_device.h"

namespace xception {
namespace {

/// A line `key: 123 kB` of a file in /proc, in bytes; 0 if there is none.
std::int64_t kilobytes_of(const char* file, const std::string& key) {
  std::ifstream stream(file);
  std::string line;
  while (std::getline(stream, line)) {
    if (line.starts_with(key + ":")) return std::stoll(line.substr(key.size() + 1)) * 1024;
  }
  return 0;
}

/// The number that a file holds, or -1: no file, or `max`.
std::int64_t number_in(const std::string& file) {
  std::ifstream stream(file);
  std::int64_t number = -1;
  return stream >> number ? number : -1;
}

/// What a control group's folder leaves, or -1 if it sets no limit. File pages count as used there,
/// and go when memory is needed.
std::int64_t bytes_left_in(const std::string& folder, const char* limit_file,
                           const char* used_file) {
  const auto limit = number_in(folder + limit_file);
  const auto used = number_in(folder + used_file);
  if (limit < 0 || used < 0) return -1;
  std::ifstream statistics(folder + "/memory.stat");
  std::string name;
  std::int64_t files = 0;
  for (std::int64_t value = 0; statistics >> name >> value;) {
    if (name == "inactive_file" || name == "active_file") files += value;
  }
  return std::max<std::int64_t>(0, limit - used + files);
}

/// What the limits of this process's control group and of those above it leave, or -1 without any.
std::int64_t group_bytes_left() {
  std::ifstream groups("/proc/self/cgroup");
  std::int64_t left = -1;
  for (std::string line; std::getline(groups, line);) {
    const bool second = line.starts_with("0::");
    const auto first = line.find(":memory:");
    if (!second && first == std::string::npos) continue;
    const std::string root = second ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory";
    auto path = line.substr(second ? 3 : first + 8);
    while (true) {
      const auto here =
          second ? bytes_left_in(root + path, "/memory.max", "/memory.current")
                 : bytes_left_in(root + path, "/memory.limit_in_bytes", "/memory.usage_in_bytes");
      if (here >= 0) left = left < 0 ? here : std::min(left, here);
      if (path.empty()) break;
      path.erase(path.rfind('/'));
    }
  }
  return left;
}

}  // namespace

std::int64_t used_memory_bytes(const torch::Device& device) {
  if (device.is_cuda()) return cuda_used_memory_bytes(device);
  return kilobytes_of("/proc/self/status", "VmRSS");
}

bool reset_peak_memory(const torch::Device& device) {
  if (device.is_cuda()) {
    reset_cuda_peak_memory(device);
    return true;
  }
  std::ofstream stream("/proc/self/clear_refs");
  stream << "5" << std::flush;
  return stream.good();
}

std::int64_t recent_peak_memory_bytes(const torch::Device& device) {
  if (device.is_cuda()) return cuda_peak_memory_bytes(device);
  return kilobytes_of("/proc/self/status", "VmHWM");
}

std::int64_t available_memory_bytes(const torch::Device& device) {
  if (device.is_cuda()) return cuda_available_memory_bytes(device);
  const auto machine = kilobytes_of("/proc/meminfo", "MemAvailable");
  const auto group = group_bytes_left();
  return group < 0 ? machine : std::min(machine, group);
}

void release_unused_memory(const torch::Device& device) {
  if (device.is_cuda()) release_cuda_unused_memory();
  malloc_trim(0);
}

}  // namespace xception
