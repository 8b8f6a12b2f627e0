#include "xception/bench/fit.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "xception/bench/largest_batch.h"
#include "xception/core/log.h"
#include "xception/core/memory.h"
#include "xception/core/signals.h"
#include "xception/parallel/device.h"
#include "xception/parallel/device_memory.h"
#include "xception/parallel/failure_cause.h"

namespace xception {
namespace {

/// Steps of no more images are really done on the CPU.
constexpr std::int64_t kLargestMeasured = 32;

/// What a step takes on the CPU at its most, above `before`.
std::int64_t measure_step(Workload& workload, std::int64_t batch, std::int64_t before) {
  release_unused_memory(torch::kCPU);
  reset_peak_memory(torch::kCPU);
  workload.run(1, batch);
  return recent_peak_memory_bytes(torch::kCPU) - before;
}

/// Steps until a step has been recorded, where it is, and replayed.
constexpr std::int64_t kGpuSteps = 5;

bool fits_on_gpu(Workload& workload, std::int64_t batch, const torch::Device& device) {
  try {
    workload.run(kGpuSteps, batch);
    synchronize(device);
    // Without the graph that it would have with a little less, it isn't what is looked for.
    if (!is_out_of_memory(workload.execution().graph_reason)) return true;
  } catch (const std::exception& error) {
    if (cause_of(error.what(), device) != FailureCause::memory) throw;
  }
  release_unused_memory(device);
  return false;
}

/// Whether a batch fits on the CPU, from what smaller ones took.
class CpuFit {
 public:
  explicit CpuFit(Workload& workload) : workload_(workload) {
    release_unused_memory(torch::kCPU);
    before_ = used_memory_bytes(torch::kCPU);
    const auto available = static_cast<double>(available_memory_bytes(torch::kCPU));
    usable_ = static_cast<std::int64_t>(available * kUsableShare);
    workload_.run(1, 2);  // makes what is made once
  }

  bool operator()(std::int64_t batch) {
    if (!measured_.empty() && predict_memory(measured_, batch) > usable_) return false;
    if (batch <= kLargestMeasured) {
      measured_.push_back({batch, measure_step(workload_, batch, before_)});
    }
    return predict_memory(measured_, batch) <= usable_;
  }

 private:
  Workload& workload_;
  std::int64_t before_ = 0;
  std::int64_t usable_ = 0;
  std::vector<BatchMemory> measured_;
};

}  // namespace

std::int64_t largest_batch_that_fits(const BenchCase& item, BenchMode mode, const Dataset& dataset,
                                     const torch::Device& device, std::int64_t limit) {
  auto smallest = item;
  set_batch(smallest, 2);
  const auto show = [&](std::int64_t batch) {
    StatusLine::show(fmt::format("{}: does a batch of {} fit?", case_name(item, mode), batch));
  };
  auto workload = build_workload(mode, smallest.config, dataset, device);
  const BatchSearch search{.limit = limit};
  std::int64_t found = 0;
  if (device.is_cuda()) {
    try {
      found = find_largest_batch(search, [&](std::int64_t batch) {
        show(batch);
        return StopSignals::received() == 0 && fits_on_gpu(*workload, batch, device);
      });
    } catch (const std::exception& error) {
      // What lies on a GPU in a bad state can't be given back.
      if (cause_of(error.what(), device) == FailureCause::device_fault) (void)workload.release();
      throw;
    }
  } else {
    CpuFit fit(*workload);
    found = find_largest_batch(search, [&](std::int64_t batch) {
      show(batch);
      return StopSignals::received() == 0 && fit(batch);
    });
  }
  return StopSignals::received() == 0 ? found : 0;
}

std::int64_t forecast_step_memory(Workload& workload, std::int64_t batch) {
  release_unused_memory(torch::kCPU);
  const auto before = used_memory_bytes(torch::kCPU);
  workload.run(1, 2);
  std::vector<BatchMemory> measured;
  for (const std::int64_t small : {std::int64_t{2}, std::min<std::int64_t>(8, batch)}) {
    measured.push_back({small, measure_step(workload, small, before)});
    if (small == batch) break;
  }
  return predict_memory(measured, batch);
}

}  // namespace xception
