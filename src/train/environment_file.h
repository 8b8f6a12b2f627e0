#pragma once

#include <vector>

#include "rank_check.h"
#include "xception/train/experiment.h"
#include "xception/train/run_directory.h"
#include "xception/train/start.h"

namespace xception {

/// Writes environment.json, for rank 0. A run that goes on keeps the first one, appends to its list
/// `resumed`, and is told which differences may change the result's last bits.
void write_environment(const RunDirectory& directory, const TrainRequest& request,
                       const Experiment& experiment, const std::vector<RankReport>& ranks,
                       const RankInfo& place, bool goes_on);

}  // namespace xception
