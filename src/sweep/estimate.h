#pragma once

#include <chrono>
#include <optional>

#include "xception/data/dataset.h"
#include "xception/sweep/trials.h"

// What `--dry-run` says of a sweep's time; a part of sweep.cpp.
namespace xception {

/// Seconds that each trial would train on this device, alone on it: the multiply-adds of its
/// images, at the rate of a few short steps of the first one's network (on a CPU with a few images
/// of the smallest size that it takes). Nothing where finding out takes longer than `patience`,
/// which is looked at between one network and the next.
[[nodiscard]] std::optional<std::vector<double>> estimate_seconds(const TrialPlan& plan,
                                                                  const Dataset& dataset,
                                                                  const torch::Device& device,
                                                                  std::chrono::seconds patience);

}  // namespace xception
