#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "xception/core/child_process.h"
#include "xception/sweep/sweep_directory.h"

namespace xception {

/// How a trial is run.
struct TrialOrder {
  std::string trial;
  std::int64_t epochs = 0;       ///< of the trial in all
  std::int64_t until_epoch = 0;  ///< stop there
  std::string device = "cpu";
  std::int64_t threads = 1;
  std::string phase = {};  ///< what `device` is written as; empty: as it is
};

/// A trial's own process, `xception train`, with its lines in the journal. It starts without the
/// variables that would make it a rank of somebody's job.
class TrialProcess {
 public:
  /// Waits, if need be, for an earlier process of the trial that is still saving. Errors (run).
  TrialProcess(const SweepDirectory& directory, TrialOrder order);

  [[nodiscard]] const TrialOrder& order() const { return order_; }
  [[nodiscard]] double seconds() const;
  void send(int signal) const { process_.send(signal); }
  /// Whether it has ended; never waits.
  [[nodiscard]] bool ended() { return process_.ended(); }
  /// Of one that has ended: writes the journal and returns the outcome: complete, paused,
  /// interrupted or failed, and the reason.
  [[nodiscard]] JournalEntry finish(const Metric& metric) const;

 private:
  SweepDirectory directory_;
  TrialOrder order_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  ChildProcess process_;
};

/// Whether a variable tells a process its place in somebody else's job.
[[nodiscard]] bool is_job_variable(const std::string& name);

}  // namespace xception
