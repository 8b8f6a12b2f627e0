#include "xception/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>

#include "xception/core/error.h"

namespace xception {
namespace {

/// A step after the warm-up.
struct SchedulePoint {
  double lr = 0.0;     ///< `optimizer.lr`
  double step = 0.0;   ///< steps since the warm-up
  double steps = 0.0;  ///< of the whole run after the warm-up
  double steps_per_epoch = 0.0;
};

/// A schedule as the program knows it. A new one is a struct of options, a function and a line in
/// the table.
struct ScheduleEntry {
  std::string name;
  std::function<double(const ScheduleConfig&, const SchedulePoint&)> rate;
  std::function<std::vector<Key>(ScheduleConfig&)> keys = {};  ///< its own of `schedule.*`
  /// Refuses settings that can't be meant together, whichever schedule is chosen. lr: of the
  /// optimizer.
  std::function<void(const ScheduleConfig&, double lr)> check = {};
  bool depends_on_epochs = false;  ///< whether a longer run has other rates from its beginning
};

struct CosineOptions {
  double min_lr = 0.0;

  std::vector<Key> keys() { return {{"min_lr", &min_lr, at_least(0), "learning rate at the end"}}; }
};

double cosine_rate(const ScheduleConfig& schedule, const SchedulePoint& at) {
  const auto min_lr = schedule.own<CosineOptions>().min_lr;
  const double progress = std::min(1.0, at.step / std::max(1.0, at.steps));
  return min_lr + (at.lr - min_lr) * 0.5 * (1.0 + std::cos(std::numbers::pi * progress));
}

void check_cosine(const ScheduleConfig& schedule, double lr) {
  const auto min_lr = schedule.own<CosineOptions>().min_lr;
  if (min_lr <= lr) return;
  throw input_error("config",
                    "schedule.min_lr: found {}, but optimizer.lr is {}; expected at most that",
                    min_lr, lr);
}

struct StepOptions {
  double step_epochs = 2.0;
  double gamma = 0.94;

  std::vector<Key> keys() {
    return {{"step_epochs", &step_epochs, above(0), "epochs between two decays"},
            {"gamma", &gamma, Range{.low = 0, .high = 1, .low_open = true}, "factor of a decay"}};
  }
};

double step_rate(const ScheduleConfig& schedule, const SchedulePoint& at) {
  const auto options = schedule.own<StepOptions>();
  return at.lr *
         std::pow(options.gamma, std::floor(at.step / (options.step_epochs * at.steps_per_epoch)));
}

const std::vector<ScheduleEntry>& schedule_table() {
  static const std::vector<ScheduleEntry> table = {
      {"constant", [](const ScheduleConfig&, const SchedulePoint& at) { return at.lr; }},
      {"cosine", cosine_rate, own_keys<CosineOptions>, check_cosine, /*depends_on_epochs=*/true},
      {"step", step_rate, own_keys<StepOptions>},
  };
  return table;
}

const ScheduleEntry& find_schedule(const std::string& name) {
  for (const auto& entry : schedule_table()) {
    if (entry.name == name) return entry;
  }
  throw input_error("config", "schedule.name: unknown {}", name);
}

}  // namespace

std::vector<Key> ScheduleConfig::keys() {
  Choices names;
  for (const auto& entry : schedule_table()) names.push_back(entry.name);
  std::vector<Key> keys = {
      {"name", &name, std::move(names), "learning rate over the run"},
      {"warmup_epochs", &warmup_epochs, at_least(0), "linear rise from 0 to optimizer.lr"}};
  for (const auto& entry : schedule_table()) {
    if (entry.keys) add_keys(keys, entry.name, entry.keys(*this));
  }
  return keys;
}

void check_schedule(const ScheduleConfig& schedule, double lr, std::int64_t epochs) {
  for (const auto& entry : schedule_table()) {
    if (entry.check) entry.check(schedule, lr);
  }
  if (schedule.warmup_epochs <= static_cast<double>(epochs)) return;
  throw input_error(
      "config",
      "schedule.warmup_epochs: found {}, but train.epochs is {}, so that optimizer.lr would "
      "never be reached; expected at most that",
      schedule.warmup_epochs, epochs);
}

bool depends_on_epochs(const ScheduleConfig& schedule) {
  return find_schedule(schedule.name).depends_on_epochs;
}

double learning_rate(const ScheduleConfig& schedule, double lr, std::int64_t step,
                     std::int64_t steps_per_epoch, std::int64_t epochs) {
  const auto& entry = find_schedule(schedule.name);
  const auto per_epoch = static_cast<double>(steps_per_epoch);
  const auto now = static_cast<double>(step);
  const double warmup = std::round(schedule.warmup_epochs * per_epoch);
  if (now < warmup) return lr * (now + 1.0) / (warmup + 1.0);
  return entry.rate(schedule, {.lr = lr,
                               .step = now - warmup,
                               .steps = per_epoch * static_cast<double>(epochs) - warmup,
                               .steps_per_epoch = per_epoch});
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
