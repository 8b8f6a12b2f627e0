#pragma once

#include <vector>

#include "xception/sweep/scheduler.h"
#include "xception/sweep/sweep_directory.h"

// How trials are run on this machine; a part of sweep.cpp.
namespace xception {

/// Where trials may run, and until when.
struct LocalLimits {
  std::vector<std::string> devices;  ///< used in turn by the jobs
  std::int64_t jobs = 1;
  std::int64_t threads = 1;     ///< of the CPU, a job
  std::int64_t max_epochs = 0;  ///< of all trials together; 0: no limit
  double max_hours = 0.0;       ///< 0: no limit
};

/// Runs what the scheduler says until it has nothing more. Returns the signal that stopped it, or
/// 0.
int run_locally(const SweepDirectory& directory, const SweepDescription& description,
                Scheduler& scheduler, const LocalLimits& limits);

/// How far a trial is, as a scheduler wants it.
[[nodiscard]] TrialProgress progress_of(const TrialStatus& status,
                                        const SweepDescription::Entry& trial, const Metric& metric);

}  // namespace xception
