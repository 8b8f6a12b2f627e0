#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "xception/sweep/sweep_file.h"

namespace xception {

/// What to run next.
struct Task {
  std::size_t trial = 0;
  std::int64_t until_epoch = 0;  ///< stop there; the trial's last epoch: run to the end
};

/// How far a trial is, for a scheduler that takes a sweep up again.
struct TrialProgress {
  std::int64_t epochs = 0;                    ///< of this trial in all
  std::int64_t done = 0;                      ///< complete ones
  bool complete = false;                      ///< trained and tested
  bool failed = false;                        ///< for good
  std::int64_t unfinished = 0;                ///< the epoch of a task that was cut off; 0: none was
  std::vector<std::optional<double>> metric;  ///< the best so far after each epoch done
};

/// Decides which trial runs next, and how far.
class Scheduler {
 public:
  virtual ~Scheduler() = default;
  /// The next task; none: nothing to do until a running one ends, or ever.
  [[nodiscard]] virtual std::optional<Task> next() = 0;
  /// A task came to its end; `progress` is how its trial stands now.
  virtual void finished(std::size_t trial, const TrialProgress& progress) = 0;
  /// A task did not: it goes back to the front of the queue.
  virtual void put_back(const Task& task) = 0;
};

/// Every trial to its end, in order.
[[nodiscard]] std::unique_ptr<Scheduler> run_all(const std::vector<TrialProgress>& trials);

/// Asynchronous successive halving. A free worker promotes the best trial of the highest rung that
/// has one among its best 1 / reduction, or starts a new one.
[[nodiscard]] std::unique_ptr<Scheduler> halve(const std::vector<TrialProgress>& trials,
                                               const HalvingConfig& halving, bool maximize);

/// How many trials it takes for one of them to come to its last epoch.
struct TrialNeeds {
  std::int64_t fewest = 1;  ///< with fewer none ever does: each rung holds back reduction - 1
  std::int64_t enough = 1;  ///< with so many one does, whatever order they come in
};
[[nodiscard]] TrialNeeds trials_to_complete(const HalvingConfig& halving, std::int64_t epochs);

/// The epochs at which a trial stops: min_epochs * reduction^k below `epochs`, and `epochs`.
[[nodiscard]] std::vector<std::int64_t> rung_epochs(const HalvingConfig& halving,
                                                    std::int64_t epochs);

}  // namespace xception
