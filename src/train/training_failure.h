#pragma once

#include <cstdint>
#include <string>

#include "xception/core/error.h"
#include "xception/train/checkpoint.h"
#include "xception/train/experiment.h"

// What the user is told when a training can't go on. saved: whether there is a checkpoint.
namespace xception {

/// The error (run) of a step, counted from 0, whose loss isn't finite.
[[nodiscard]] Error loss_not_finite(std::int64_t step, double learning_rate,
                                    const RunConfig& config, const TrainingPosition& place,
                                    bool saved);

/// The error (run) of weights that aren't finite after the last step.
[[nodiscard]] Error weights_not_finite(double learning_rate, const TrainingPosition& place,
                                       bool saved);

/// Where the GPU is in a state from which nothing brings it back. text: what it said.
[[nodiscard]] std::string device_fault_line(const std::string& text, const Experiment& experiment,
                                            const TrainingPosition& place, bool saved);

}  // namespace xception
