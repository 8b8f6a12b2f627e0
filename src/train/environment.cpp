#include "xception/train/environment.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <fmt/format.h>
#include <torch/version.h>
#include <unistd.h>

#include <array>
#include <ctime>

#include "xception/core/first_line.h"
#include "xception/core/version.h"
#include "xception/parallel/rank_info.h"

namespace xception {
namespace {

std::string time_now() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  std::array<char, 64> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S%z", &local);
  return text.data();
}

}  // namespace

std::string cudnn_version() {
  if (!at::globalContext().hasCUDA() || !at::detail::getCUDAHooks().hasCuDNN()) return "";
  const auto number = at::detail::getCUDAHooks().versionRuntimeCuDNN();
  // 91900 is 9.19.0.
  return fmt::format("{}.{}.{}", number / 10000, number / 100 % 100, number % 100);
}

nlohmann::ordered_json describe_environment() {
  const auto build = version();
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  const auto cpu = describe_device(torch::kCPU);
  nlohmann::ordered_json json;
  json["xception"] = build.version;
  json["git_commit"] = build.git_commit;
  json["libtorch"] = TORCH_VERSION;
  json["cuda"] = build.cuda;
  json["cudnn"] = cudnn_version();
  json["nccl"] = build.nccl;
  json["compiler"] = build.compiler;
  json["build_type"] = build.build_type;
  json["host"] = host.data();
  json["processor"] = processor_name();
  json["processor_features"] = processor_features();
  json["threads"] = at::get_num_threads();
  json["threads_reason"] = threads_reason();
  json["memory_bytes"] = cpu.memory_bytes;
  json["devices"] = nlohmann::ordered_json::array();
  for (std::int64_t i = 0; i < cuda_device_count(); ++i) {
    const torch::Device device(torch::kCUDA, static_cast<c10::DeviceIndex>(i));
    try {
      const auto info = describe_device(device);
      json["devices"].push_back({{"device", info.device.str()},
                                 {"name", info.name},
                                 {"memory_bytes", info.memory_bytes}});
    } catch (const std::exception& error) {  // a GPU in a bad state is reported, not fatal
      json["devices"].push_back({{"device", device.str()}, {"error", first_line(error.what())}});
    }
  }
  json["time"] = time_now();
  return json;
}

std::string library_line() {
  const auto build = version();
  std::string line = fmt::format("LibTorch {}", TORCH_VERSION);
  line += build.cuda.empty() ? ", built for the CPU" : fmt::format(", CUDA {}", build.cuda);
  if (const auto cudnn = cudnn_version(); !cudnn.empty()) line += ", cuDNN " + cudnn;
  return line;
}

}  // namespace xception
