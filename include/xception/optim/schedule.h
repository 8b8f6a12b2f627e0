#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "xception/config/keys.h"

namespace xception {

/// `schedule.*`: the learning rate as a function of the step. What a schedule has for itself stands
/// beside its function (schedule.cpp).
struct ScheduleConfig : ComponentOptions {
  std::string name = "constant";
  double warmup_epochs = 0.0;

  /// These and every schedule's own, in the order in which a config is written.
  [[nodiscard]] std::vector<Key> keys();
};

/// Refuses settings that can't be meant together. lr: `optimizer.lr`; epochs: of the whole run.
/// Errors (input): the key, what was found, what was expected.
void check_schedule(const ScheduleConfig& schedule, double lr, std::int64_t epochs);

/// Whether a run of more epochs has other learning rates from its beginning, as the cosine's is
/// stretched. Error (input): an unknown schedule.
[[nodiscard]] bool depends_on_epochs(const ScheduleConfig& schedule);

/// Whether rates depend on how training goes too: then build_feedback (optim/plateau.h) makes what
/// they are multiplied with, and validation images are needed. Error (input): an unknown schedule.
[[nodiscard]] bool has_feedback(const ScheduleConfig& schedule);

/// The learning rate of a step, a pure function of its number: a linear rise over the warm-up, then
/// - constant, plateau: the same;
/// - cosine, linear, polynomial: down to `min_lr` at the last step, by half a cosine, a line, or
///   (the part of the run that is left) to the power of `power`;
/// - step: `lr * gamma^k` after k times `step_epochs` epochs (the paper's: x 0.94 every 2 epochs);
/// - one_cycle: up to lr in `pct_start` of the steps, then down, as PyTorch's OneCycleLR.
/// They are the rates of torch.optim.lr_scheduler's CosineAnnealingLR, LinearLR, PolynomialLR,
/// StepLR and OneCycleLR, a scheduler's step for each of the optimizer's.
/// step: optimizer steps before this one, over the whole run. Error (input): an unknown schedule.
[[nodiscard]] double learning_rate(const ScheduleConfig& schedule, double lr, std::int64_t step,
                                   std::int64_t steps_per_epoch, std::int64_t epochs);

/// The learning rates of one epoch's steps.
[[nodiscard]] std::vector<double> learning_rates(const ScheduleConfig& schedule, double lr,
                                                 std::int64_t epoch, std::int64_t steps_per_epoch,
                                                 std::int64_t epochs);

}  // namespace xception
