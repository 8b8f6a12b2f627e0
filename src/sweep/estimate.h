#pragma once

#include "xception/data/dataset.h"
#include "xception/sweep/trials.h"

// What `--dry-run` says of a sweep's time; a part of sweep.cpp.
namespace xception {

/// Seconds that each trial would train on this device, alone on it: the multiply-adds of its
/// images, at the rate of a short training of the first one.
[[nodiscard]] std::vector<double> estimate_seconds(const TrialPlan& plan, const Dataset& dataset,
                                                   const torch::Device& device);

}  // namespace xception
