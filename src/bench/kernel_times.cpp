#include <c10/core/AutogradState.h>
#include <torch/csrc/autograd/profiler_kineto.h>
#include <torch/csrc/profiler/stubs/base.h>

#include <exception>
#include <set>

#include "xception/bench/operators.h"
#include "xception/core/first_line.h"
#include "xception/core/log.h"
#include "xception/parallel/device.h"

namespace xception {

std::map<std::string, KernelTime> time_kernels(const torch::Device& device,
                                               const std::function<void()>& work) {
  namespace profiler = torch::autograd::profiler;
  namespace settings = torch::profiler::impl;
  if (!device.is_cuda()) return {};
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
    std::map<std::string, KernelTime> kernels;
    const auto result = profiler::disableProfiler();
    for (const auto& event : result->events()) {
      const auto name = event.name();
      const bool driver = name.starts_with("Memcpy") || name.starts_with("Memset");
      if (event.deviceType() != torch::kCUDA || driver) continue;
      auto& kernel = kernels[name];
      ++kernel.launches;
      kernel.seconds += 1e-9 * static_cast<double>(event.durationNs());
    }
    return kernels;
  } catch (const std::exception& error) {
    spdlog::warn("warning: kernels can't be timed: {}", first_line(error.what()));
    return {};
  }
}

void in_profiler_range(const torch::Device& device, const char* name,
                       const std::function<void()>& work) {
  const auto* stubs = torch::profiler::impl::cudaStubs();
  if (!device.is_cuda() || !stubs->enabled()) {
    work();
    return;
  }
  // A range belongs to a thread, so the backward pass must stay in this one, with the plans that
  // cuDNN keeps for each thread made before.
  auto& autograd = c10::AutogradState::get_tls_state();
  const bool threads = autograd.get_multithreading_enabled();
  autograd.set_multithreading_enabled(false);
  work();
  synchronize(device);
  stubs->rangePush(name);
  work();
  synchronize(device);
  stubs->rangePop();
  autograd.set_multithreading_enabled(threads);
}

}  // namespace xception
