#pragma once

#include "xception/bench/plan.h"

namespace xception {

/// Numbers out of their range. Errors (input).
void check_numbers(const BenchRequest& request);

/// Keys of the command line: one beside the option that means the same, one that the mode doesn't
/// look at. Errors (input).
void check_keys(const BenchRequest& request, BenchMode mode);

/// Files that could not be written after the measurement. Errors (input).
void check_targets(const BenchRequest& request);

}  // namespace xception
