#include <torch/csrc/autograd/profiler_kineto.h>

#include <exception>
#include <set>

#include "xception/bench/operators.h"
#include "xception/core/first_line.h"
#include "xception/core/log.h"
#include "xception/parallel/device.h"

namespace xception {

std::optional<std::int64_t> count_kernel_launches(const torch::Device& device,
                                                  const std::function<void()>& work) {
  namespace profiler = torch::autograd::profiler;
  namespace settings = torch::profiler::impl;
  if (!device.is_cuda()) return std::nullopt;
  const std::set<settings::ActivityType> activities = {settings::ActivityType::CUDA};
  const settings::ProfilerConfig config(settings::ProfilerState::KINETO);
  try {
    synchronize(device);
    profiler::prepareProfiler(config, activities);
    profiler::enableProfiler(config, activities);
    try {
      work();
      synchronize(device);
    } catch (...) {
      (void)profiler::disableProfiler();
      throw;
    }
    std::int64_t launches = 0;
    const auto result = profiler::disableProfiler();
    for (const auto& event : result->events()) {
      const auto name = event.name();
      const bool driver = name.starts_with("Memcpy") || name.starts_with("Memset");
      if (event.deviceType() == torch::kCUDA && !driver) ++launches;
    }
    return launches > 0 ? std::optional(launches) : std::nullopt;
  } catch (const std::exception& error) {
    spdlog::warn("warning: kernel launches can't be counted: {}", first_line(error.what()));
    return std::nullopt;
  }
}

}  // namespace xception
