#pragma once

#include <chrono>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>

#include "xception/core/state.h"
#include "xception/models/complexity.h"
#include "xception/parallel/gradient_reducer.h"
#include "xception/train/experiment.h"
#include "xception/train/run_status.h"

namespace xception {

/// The outcome of a run so far: best epoch, times and tests. Part of the checkpoints, so that a run
/// that was stopped and goes on ends with the same best epoch and the sum of its times.
class Summary : public Stateful {
 public:
  explicit Summary(const Experiment& experiment);

  /// Notes a validated epoch (counted from 1). Returns whether it is the best so far; without
  /// validation images every epoch is.
  bool record_epoch(std::int64_t epoch, std::optional<double> validation_accuracy);

  [[nodiscard]] std::int64_t best_epoch() const { return best_epoch_; }
  /// The best checkpoint is lost: the last epoch's takes its place, and the next one is the best.
  void forget_best();

  void add_train_seconds(double seconds, std::int64_t images);
  void add_suspended_seconds(double seconds) { suspended_seconds_ += seconds; }
  void add_train_energy(double joules) { train_joules_ += joules; }
  /// Seconds and images a second of the epoch that ends here, its parts before a stop included.
  [[nodiscard]] std::pair<double, double> finish_epoch_time();

  /// When the program began, for wall_seconds.
  void set_start(std::chrono::steady_clock::time_point start) { start_ = start; }
  [[nodiscard]] const Complexity& complexity() const { return complexity_; }
  void set_complexity(const Complexity& complexity) { complexity_ = complexity; }
  void set_ranks(int ranks) { ranks_ = ranks; }
  void set_reduction(const ReductionCounters& reduction) { reduction_ = reduction; }
  void set_epochs(std::int64_t epochs) { epochs_ = epochs; }
  void set_stopped_early() { stopped_early_ = true; }
  void set_best_test(double accuracy, double loss);
  void set_last_test(double accuracy) { last_test_accuracy_ = accuracy; }

  /// summary.json. status: running, complete, paused, interrupted, failed.
  [[nodiscard]] nlohmann::ordered_json to_json(RunStatus status) const;

  [[nodiscard]] std::string state_name() const override { return "summary"; }
  [[nodiscard]] State state() const override;
  void load_state(const State& state) override;

 private:
  [[nodiscard]] double wall_seconds() const;

  const Experiment& experiment_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double earlier_wall_seconds_ = 0.0;
  double train_seconds_ = 0.0;
  double suspended_seconds_ = 0.0;
  double train_joules_ = 0.0;  ///< 0: the driver doesn't say
  std::int64_t images_ = 0;
  double epoch_seconds_ = 0.0;
  std::int64_t epoch_images_ = 0;
  Complexity complexity_ = {};
  int ranks_ = 1;
  std::optional<ReductionCounters> reduction_;  ///< of this process's steps
  std::int64_t epochs_ = 0;                     ///< complete
  bool stopped_early_ = false;
  std::int64_t best_epoch_ = 0;
  std::optional<double> best_accuracy_;
  std::optional<double> test_accuracy_;
  std::optional<double> test_loss_;
  std::optional<double> last_test_accuracy_;
};

}  // namespace xception
