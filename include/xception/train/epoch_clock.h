#pragma once

#include <cstdint>
#include <utility>

#include "xception/core/suspension.h"

namespace xception {

/// Measures the steps of an epoch and says when to report. What a SuspensionWatch noticed is left
/// out.
class EpochClock {
 public:
  /// interval: steps between two reports; on a terminal half a second instead.
  EpochClock(std::int64_t interval, bool terminal) : interval_(interval), terminal_(terminal) {}

  void add_step(std::int64_t images);

  /// Whether a report is due; if so, the rate is measured anew from here.
  [[nodiscard]] bool report_due();

  /// Images a second between the last two reports.
  [[nodiscard]] double rate() const { return rate_; }

  /// Seconds that the process stood still since the start or the last call.
  double take_suspended();

  /// Seconds and images since the start or the last call.
  std::pair<double, std::int64_t> take();

  /// Leaves out what happened since the last step: measures from now.
  void restart();

 private:
  /// Seconds of the steady clock, less those that the process stood still.
  [[nodiscard]] static double now();

  std::int64_t interval_;
  bool terminal_;
  double start_ = now();
  std::int64_t images_ = 0;
  double suspended_ = SuspensionWatch::seconds();
  double report_start_ = start_;
  std::int64_t report_images_ = 0;
  std::int64_t report_steps_ = 0;
  double rate_ = 0.0;
};

}  // namespace xception
