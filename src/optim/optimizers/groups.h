#pragma once

#include <memory>

#include "entry.h"

namespace xception {

/// The groups of a config as one optimizer. Errors (input): as build_optimizer.
[[nodiscard]] std::unique_ptr<Optimizer> build_groups(const OptimizerEntry& entry,
                                                      const OptimizerConfig& config,
                                                      const NamedParameters& parameters);

/// Refuses a list of groups that no network can have. Errors (input).
void check_groups(const OptimizerConfig& config);

}  // namespace xception
