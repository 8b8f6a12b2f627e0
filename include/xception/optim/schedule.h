#pragma once

#include <cstdint>
#include <vector>

#include "xception/config/config.h"

namespace xception {

/// The learning rate of a step, a pure function of its number: a linear rise over the warm-up, then
/// constant; or half a cosine down to `min_lr` at the last step; or `lr * gamma^k` after k times
/// `step_epochs` epochs (the paper's: x 0.94 every 2 epochs).
/// step: optimiser steps before this one, over the whole run.
[[nodiscard]] double learning_rate(const ScheduleConfig& schedule, double lr, std::int64_t step,
                                   std::int64_t steps_per_epoch, std::int64_t epochs);

/// The learning rates of one epoch's steps.
[[nodiscard]] std::vector<double> learning_rates(const ScheduleConfig& schedule, double lr,
                                                 std::int64_t epoch, std::int64_t steps_per_epoch,
                                                 std::int64_t epochs);

}  // namespace xception
