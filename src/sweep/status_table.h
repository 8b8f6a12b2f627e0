#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "xception/sweep/sweep_directory.h"

// The table of a sweep's trials, live and as `sweep status` prints it.
namespace xception {

/// Lines: a heading, the trials, and a sum with the time that is left. live: where they are many,
/// only the trials that run.
[[nodiscard]] std::vector<std::string> status_lines(const SweepDescription& description,
                                                    const std::vector<TrialStatus>& trials,
                                                    bool live);

/// Every trial's status, in the order of the description.
[[nodiscard]] std::vector<TrialStatus> read_all(const SweepDirectory& directory,
                                                const SweepDescription& description);

/// The table, redrawn in place where standard error is a terminal; elsewhere nothing.
class StatusTable {
 public:
  /// Redraws it, at most twice a second.
  void show(const SweepDirectory& directory, const SweepDescription& description);
  /// Draws these lines in place of the last ones.
  void draw(const std::vector<std::string>& lines);
  /// Removes it, before other output.
  void clear();

 private:
  std::size_t lines_ = 0;
  std::chrono::steady_clock::time_point last_{};
};

}  // namespace xception
