#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "xception/parallel/communicator.h"
#include "xception/train/run_config.h"
#include "xception/train/run_directory.h"
#include "xception/train/start.h"

namespace xception {

/// What rank 0 found in the run directory, and all ranks go by.
struct RunStart {
  RunConfig config;
  std::filesystem::path directory;
  bool saved = false;         ///< goes on from a checkpoint
  std::int64_t complete = 0;  ///< the run's epochs where nothing is left to do, else 0
};

/// What a run that was given no folder is called.
[[nodiscard]] std::string run_name(const TrainRequest& request, const RunConfig& config);

/// Looks into the run directory that the request means, on rank 0, and tells all ranks. Errors
/// (input): it holds a run that this start would overwrite, or none that it could go on with.
[[nodiscard]] RunStart decide_start(const TrainRequest& request, const RunConfig& asked,
                                    Communicator& ranks);

}  // namespace xception
