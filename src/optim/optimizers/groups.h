#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "entry.h"

namespace xception {

/// Parameters that are updated alike, of a longer list.
struct Group {
  double lr_factor = 1.0;            ///< of the step's learning rate
  std::vector<std::size_t> members;  ///< places in the whole list
  std::unique_ptr<Optimizer> optimizer;
};

/// Several optimizers, each of its own part of the parameters, as one. Its state has the names of
/// a single optimizer's.
[[nodiscard]] std::unique_ptr<Optimizer> join_groups(std::vector<Group> groups);

/// The groups of a config as one optimizer. Errors (input): as build_optimizer.
[[nodiscard]] std::unique_ptr<Optimizer> build_groups(const OptimizerEntry& entry,
                                                      const OptimizerConfig& config,
                                                      const NamedParameters& parameters);

/// Refuses a list of groups that no network can have. Errors (input).
void check_groups(const OptimizerConfig& config);

}  // namespace xception
