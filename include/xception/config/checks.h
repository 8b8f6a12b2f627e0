#pragma once

#include <string>
#include <vector>

#include "xception/config/config.h"

namespace xception {

/// Refuses settings of which each is in its range but that can't be meant together, such as a
/// warm-up longer than the training. For a run that begins: one that goes on has what it has.
/// Errors (input): the key, what was found, what was expected.
void check_together(const RunConfig& config);

/// Keys that were given and aren't at their default, but that the chosen optimizer.name or
/// schedule.name doesn't read: a sentence each.
[[nodiscard]] std::vector<std::string> unread_keys(const RunConfig& config);

}  // namespace xception
