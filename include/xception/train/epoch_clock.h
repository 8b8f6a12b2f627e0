#pragma once

#include <chrono>
#include <cstdint>
#include <utility>

namespace xception {

/// Measures the steps of an epoch and says when to report.
class EpochClock {
 public:
  /// interval: steps between two reports; on a terminal half a second instead.
  EpochClock(std::int64_t interval, bool terminal) : interval_(interval), terminal_(terminal) {}

  void add_step(std::int64_t images);

  /// Whether a report is due; if so, the rate is measured anew from here.
  [[nodiscard]] bool report_due();

  /// Images a second between the last two reports.
  [[nodiscard]] double rate() const { return rate_; }

  /// Seconds and images since the start or the last call.
  std::pair<double, std::int64_t> take();

  /// Leaves out what happened since the last step: measures from now.
  void restart();

 private:
  using Clock = std::chrono::steady_clock;

  std::int64_t interval_;
  bool terminal_;
  Clock::time_point start_ = Clock::now();
  std::int64_t images_ = 0;
  Clock::time_point report_start_ = start_;
  std::int64_t report_images_ = 0;
  std::int64_t report_steps_ = 0;
  double rate_ = 0.0;
};

}  // namespace xception
