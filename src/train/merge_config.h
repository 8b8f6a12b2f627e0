#pragma once

#include "xception/train/run_config.h"
#include "xception/train/run_directory.h"

// How a run that goes on gets its config; parts of start.cpp.
namespace xception {

/// The config that a run has from here on: the asked one, or, where a checkpoint was saved, the
/// run's with what may change. Errors (input): the command line asks for something else than what
/// was trained so far.
[[nodiscard]] RunConfig choose_config(const RunDirectory& directory, const RunConfig& asked,
                                      bool saved);

/// Tells the user where another number of epochs bends the schedule of a run that goes on.
void say_new_schedule(const RunDirectory& directory, const RunConfig& config);

}  // namespace xception
