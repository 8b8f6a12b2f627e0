#include "warm_up.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "xception/bench/fit.h"
#include "xception/bench/operators.h"
#include "xception/core/error.h"
#include "xception/core/format.h"
#include "xception/core/memory.h"
#include "xception/core/seconds_since.h"
#include "xception/core/signals.h"
#include "xception/parallel/device.h"
#include "xception/parallel/device_memory.h"

namespace xception {
namespace {

using Clock = std::chrono::steady_clock;

/// A GPU's clock needs a while until it runs as fast as it will.
constexpr double kGpuWarmUpSeconds = 0.5;

}  // namespace

void check_memory(Workload& workload, const CaseResult& result, const torch::Device& device) {
  if (device.is_cuda()) return;
  // Generously: every layer's output eight times in float32.
  const auto batch = result.item.batch;
  const auto guess = std::max<std::int64_t>(result.complexity.activations * 32, 1 << 20) * batch;
  const auto available = available_memory_bytes(device);
  if (guess < available / 2) return;
  const auto forecast = forecast_step_memory(workload, batch);
  if (static_cast<double>(forecast) <= kUsableShare * static_cast<double>(available)) return;
  throw run_error("bench", "out of memory: a step will take {}, {} are available",
                  format_bytes(forecast), format_bytes(available));
}

double time_steps(Workload& workload, std::int64_t steps, std::int64_t batch,
                  const torch::Device& device) {
  synchronize(device);
  const auto start = Clock::now();
  workload.run(steps, batch);
  synchronize(device);
  return seconds_since(start);
}

void warm_up(Workload& workload, CaseResult& result, const BenchRequest& request,
             const torch::Device& device, std::int64_t used_before) {
  const auto time = [&](std::int64_t steps) {
    return time_steps(workload, steps, result.item.batch, device);
  };
  const auto stopped = [] { return StopSignals::received() != 0; };
  const auto start = Clock::now();
  // The first step makes what is made once, and tries cuDNN's algorithms.
  (void)time(1);
  const bool resets = reset_peak_memory(device);
  double seconds = time(1);
  if (resets) result.peak_memory = recent_peak_memory_bytes(device) - used_before;
  result.operators = count_operators([&] {
    workload.run(1, result.item.batch);
    synchronize(device);
  });
  if (request.warmup_steps > 3) (void)time(request.warmup_steps - 3);
  // A short step is timed over several.
  const auto more = static_cast<std::int64_t>(0.05 / std::max(1e-6, seconds));
  if (more > 0 && !stopped()) seconds = time(more) / static_cast<double>(more);
  while (device.is_cuda() && seconds_since(start) < kGpuWarmUpSeconds && !stopped()) {
    (void)time(std::max<std::int64_t>(1, more));
  }
  const auto fitting = std::ceil(request.window_seconds / std::max(1e-6, seconds));
  result.window_steps = request.window_steps > 0
                            ? request.window_steps
                            : std::max<std::int64_t>(1, static_cast<std::int64_t>(fitting));
}

}  // namespace xception
