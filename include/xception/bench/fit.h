#pragma once

#include <cstdint>

#include "xception/bench/plan.h"

namespace xception {

/// Of what a step may take, from what is available: the rest is left to others and to error.
inline constexpr double kUsableShare = 0.9;

/// The largest batch of a case that fits in the device's memory, at most `limit`, found with real
/// steps of the case's workload. On a GPU a step that runs out of memory is the answer no; on the
/// CPU, where running out of memory ends the process or the machine, steps of few images are
/// measured and larger ones predicted from their growth. Returns 0 if not even the smallest fits,
/// or a stop signal came.
[[nodiscard]] std::int64_t largest_batch_that_fits(const BenchCase& item, BenchMode mode,
                                                   const Dataset& dataset,
                                                   const torch::Device& device, std::int64_t limit);

/// Bytes that a step of `batch` images will take on the CPU besides what is resident now, from
/// steps of a few images with this workload.
[[nodiscard]] std::int64_t forecast_step_memory(Workload& workload, std::int64_t batch);

}  // namespace xception
