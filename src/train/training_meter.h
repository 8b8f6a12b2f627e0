#pragma once

#include <cstdint>
#include <optional>

#include "xception/parallel/communicator.h"
#include "xception/train/epoch_clock.h"
#include "xception/train/summary.h"

namespace xception {

/// Time and energy that an epoch's steps take, added to the summary.
class TrainingMeter {
 public:
  /// Measures from here. log_interval: see EpochClock.
  TrainingMeter(const torch::Device& device, const Communicator& ranks, Summary& summary,
                std::int64_t log_interval);

  void add_step(std::int64_t images) { clock_.add_step(images); }
  /// See EpochClock.
  [[nodiscard]] bool report_due() { return clock_.report_due(); }
  [[nodiscard]] double rate() const { return clock_.rate(); }

  /// Waits for the device, and adds what the steps took since the start or restart().
  void account();

  /// Measures from now: what happened since account() was no training.
  void restart();

 private:
  [[nodiscard]] std::optional<double> read_energy() const;

  torch::Device device_;
  const Communicator& ranks_;
  Summary& summary_;
  EpochClock clock_;
  std::optional<double> energy_;  ///< joules
};

}  // namespace xception
