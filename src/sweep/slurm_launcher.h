#pragma once

#include <string>
#include <vector>

#include "xception/sweep/sweep_directory.h"

// How trials are run on a cluster; a part of sweep.cpp.
namespace xception {

/// Submits the trials as one job array, or finds the array that an earlier process submitted, and
/// waits for its end. jobs: array tasks at a time; 0: as many as the cluster gives. device: of each
/// task. Returns the
/// signal that ended the waiting, or 0; the array goes on without us. Errors (input): no sbatch, or
/// it refuses.
int run_on_slurm(const SweepDirectory& directory, const SweepDescription& description,
                 const std::vector<std::string>& trials, std::int64_t jobs,
                 const std::string& device, const std::vector<std::string>& options);

}  // namespace xception
