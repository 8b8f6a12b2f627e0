#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "xception/core/state.h"
#include "xception/optim/schedule.h"

namespace xception {

/// What an epoch came to, as a schedule may look at it.
struct EpochOutcome {
  std::int64_t epoch = 0;  ///< counted from 1
  double validation_loss = 0.0;
  double validation_accuracy = 0.0;
};

/// The part of a schedule that depends on how training goes: a factor on the rates that
/// learning_rates() gives. It changes between epochs only, and is part of the checkpoints.
class RateFeedback : public Stateful {
 public:
  [[nodiscard]] std::string state_name() const override { return "schedule"; }

  /// By which the rates of the next epoch are multiplied.
  [[nodiscard]] virtual double factor() const = 0;

  /// Takes note of a validated epoch. Ranks that give the same outcome stay in step.
  virtual void record(const EpochOutcome& outcome) = 0;
};

/// The feedback of the chosen schedule, or none. lr: `optimizer.lr`.
[[nodiscard]] std::unique_ptr<RateFeedback> build_feedback(const ScheduleConfig& schedule,
                                                           double lr);

/// What `schedule.name=plateau` has for itself.
struct PlateauOptions {
  double factor = 0.1;
  std::int64_t patience = 10;
  double threshold = 1e-4;
  std::string metric = "loss";

  std::vector<Key> keys();
};

/// torch.optim.lr_scheduler.ReduceLROnPlateau (threshold_mode rel, no cooldown): the rate falls to
/// `factor` of itself, but not below `min_lr`, once the metric has not become better by the part
/// `threshold` for more than `patience` epochs. Epochs of the warm-up are not looked at.
class Plateau : public RateFeedback {
 public:
  /// lr: from which the rate falls.
  Plateau(PlateauOptions options, double lr, double min_lr, double warmup_epochs);

  [[nodiscard]] double factor() const override { return rate_ / lr_; }
  void record(const EpochOutcome& outcome) override;

  [[nodiscard]] State state() const override;
  void load_state(const State& state) override;

 private:
  PlateauOptions options_;
  double lr_, min_lr_, warmup_epochs_;
  double rate_;
  std::optional<double> best_;  ///< value of the metric
  std::int64_t bad_epochs_ = 0;
};

}  // namespace xception
