#pragma once

#include <vector>

#include "rank_check.h"
#include "xception/train/experiment.h"
#include "xception/train/run_directory.h"
#include "xception/train/start.h"
#include "xception/train/trainer.h"

// The start-up table; a part of start.cpp.
namespace xception {

/// Everything resolved, in one look.
void show_start(const TrainRequest& request, const Experiment& experiment,
                const RunDirectory& directory, Trainer& trainer,
                const std::vector<RankReport>& ranks);

}  // namespace xception
