#pragma once

#include <cstdint>
#include <string>

#include "xception/data/dataset.h"
#include "xception/sweep/sweep.h"
#include "xception/sweep/trials.h"

// What is found out about a sweep before its first trial.
namespace xception {

/// What `train` would refuse about a trial's data and transforms. Errors (input).
void check_trials(const SweepConfig& sweep, const TrialPlan& plan, const Dataset& dataset);

/// Refuses a sweep of which no trial can come to its end; says where that is left to luck.
void check_ends(const SweepConfig& sweep, const TrialPlan& plan);

/// Prints the trials and about how long they take. device: of the first job.
void show_plan(const SweepConfig& sweep, const TrialPlan& plan, const Dataset& dataset,
               std::int64_t jobs, const std::string& device);

}  // namespace xception
