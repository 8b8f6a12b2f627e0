#include "xception/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace xception {

double learning_rate(const ScheduleConfig& schedule, double lr, std::int64_t step,
                     std::int64_t steps_per_epoch, std::int64_t epochs) {
  const auto per_epoch = static_cast<double>(steps_per_epoch);
  const auto now = static_cast<double>(step);
  const double warmup = std::round(schedule.warmup_epochs * per_epoch);
  if (now < warmup) return lr * (now + 1.0) / (warmup + 1.0);
  if (schedule.name == "cosine") {
    const double span = std::max(1.0, per_epoch * static_cast<double>(epochs) - warmup);
    const double progress = std::min(1.0, (now - warmup) / span);
    return schedule.min_lr +
           (lr - schedule.min_lr) * 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
  }
  if (schedule.name == "step") {
    const double decays = std::floor((now - warmup) / (schedule.step_epochs * per_epoch));
    return lr * std::pow(schedule.gamma, decays);
  }
  return lr;
}

std::vector<double> learning_rates(const ScheduleConfig& schedule, double lr, std::int64_t epoch,
                                   std::int64_t steps_per_epoch, std::int64_t epochs) {
  std::vector<double> rates;
  rates.reserve(static_cast<std::size_t>(steps_per_epoch));
  for (std::int64_t i = 0; i < steps_per_epoch; ++i) {
    rates.push_back(
        learning_rate(schedule, lr, epoch * steps_per_epoch + i, steps_per_epoch, epochs));
  }
  return rates;
}

}  // namespace xception
