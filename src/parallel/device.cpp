#include "xception/parallel/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <sys/resource.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <utility>

#include "cuda_device.h"
#include "xception/core/error.h"
#include "xception/core/version.h"

namespace xception {
namespace {

std::int64_t meminfo_bytes(const std::string& key) {
  std::ifstream file("/proc/meminfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with(key + ":")) return std::stoll(line.substr(key.size() + 1)) * 1024;
  }
  return 0;
}

/// Why CUDA can't be used here, and what would mend it.
std::string cuda_absence() {
  if (version().cuda.empty()) {
    return "this build is for the CPU; install the CUDA toolkit and run scripts/setup.sh again";
  }
  return "no GPU or driver is visible; check nvidia-smi and CUDA_VISIBLE_DEVICES";
}

/// expected: what the user may write, in words.
DeviceChoice read_choice(const std::string& text, const char* expected) {
  using Kind = DeviceChoice::Kind;
  for (const auto& [word, kind] : {std::pair("auto", Kind::automatic), std::pair("all", Kind::all),
                                   std::pair("cpu", Kind::cpu), std::pair("cuda", Kind::cuda)}) {
    if (text == word) return {.kind = kind};
  }
  DeviceChoice choice{.kind = Kind::gpus};
  std::istringstream list(text + ',');
  for (std::string item; std::getline(list, item, ',');) {
    const bool numbered = item.starts_with("cuda:") && item.size() > 5 && item.size() < 9 &&
                          item.find_first_not_of("0123456789", 5) == std::string::npos;
    if (!numbered) {
      throw input_error("device", "--device {}: expected {}", text, expected);
    }
    const int number = std::stoi(item.substr(5));
    if (std::find(choice.gpus.begin(), choice.gpus.end(), number) != choice.gpus.end()) {
      throw input_error("device", "--device {}: names {} twice; a GPU takes one rank", text, item);
    }
    choice.gpus.push_back(number);
  }
  return choice;
}

}  // namespace

bool cuda_available() {
  return cuda_device_count() > 0;
}

std::int64_t cuda_device_count() {
  return at::globalContext().hasCUDA() ? at::detail::getCUDAHooks().deviceCount() : 0;
}

DeviceChoice parse_device_choice(const std::string& text) {
  return read_choice(text, kDeviceHelp);
}

std::string gpu_name(std::int64_t number) {
  return "cuda:" + std::to_string(number);
}

torch::Device parse_device(const std::string& name) {
  using Kind = DeviceChoice::Kind;
  constexpr const char* expected = "auto, cpu, cuda or cuda:N";
  const auto choice = read_choice(name, expected);
  if (choice.kind == Kind::all || choice.several_gpus()) {
    throw input_error("device", "--device {}: expected {}", name, expected);
  }
  if (choice.kind == Kind::cpu) return torch::kCPU;
  if (choice.kind == Kind::automatic && !cuda_available()) return torch::kCPU;
  if (!cuda_available()) {
    throw input_error("device", "--device {}: CUDA is not available: {}; or use --device cpu", name,
                      cuda_absence());
  }
  const int index = choice.one_gpu() ? choice.gpus.front() : 0;
  if (index >= cuda_device_count()) {
    throw input_error("device", "--device {}: found {} GPUs, expected an index below that", name,
                      cuda_device_count());
  }
  return {torch::kCUDA, static_cast<c10::DeviceIndex>(index)};
}

DeviceInfo describe_device(const torch::Device& device) {
  if (device.is_cuda()) return describe_cuda_device(device);
  return {.device = device,
          .name = fmt::format("{}, {} threads", processor_name(), at::get_num_threads()),
          .memory_bytes = meminfo_bytes("MemTotal")};
}

std::string gpu_driver() {
  if (!at::globalContext().hasCUDA()) return "";
  const int cuda = cuda_driver_version();
  if (cuda == 0) return "";
  std::ifstream file("/sys/module/nvidia/version");  // not under Windows' Linux
  std::string version;
  std::getline(file, version);
  return fmt::format("{}{}CUDA {}.{}", version, version.empty() ? "" : ", ", cuda / 1000,
                     cuda % 1000 / 10);
}

std::string device_identity(const torch::Device& device) {
  return device.is_cuda() ? cuda_device_identity(device) : "";
}

void synchronize(const torch::Device& device) {
  if (device.is_cuda()) synchronize_cuda_device(device);
}

bool answers(const torch::Device& device) {
  return !device.is_cuda() || cuda_device_answers(device);
}

std::int64_t peak_memory_bytes(const torch::Device& device) {
  if (device.is_cuda()) return cuda_peak_memory_bytes(device);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
}

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line)) {
    if (line.starts_with("model name")) {
      return fmt::format("{}, {}", line.substr(line.find(':') + 2), at::get_cpu_capability());
    }
  }
  return at::get_cpu_capability();
}

std::vector<std::string> processor_features() {
  std::ifstream file("/proc/cpuinfo");
  std::string line;
  while (std::getline(file, line) && !line.starts_with("flags")) {
  }
  std::istringstream words(line);
  const std::set<std::string> flags{std::istream_iterator<std::string>(words), {}};
  std::vector<std::string> found;
  for (const auto* name : {"avx2", "fma", "f16c", "avx512f", "avx512bw", "avx512_vnni",
                           "avx512_bf16", "avx512_fp16", "amx_tile", "amx_bf16", "amx_fp16"}) {
    if (flags.contains(name)) found.emplace_back(name);
  }
  return found;
}

}  // namespace xception
