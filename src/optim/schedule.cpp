#include "xception/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numbers>

#include "xception/core/error.h"
#include "xception/optim/plateau.h"

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
  /// What depends on how training goes, or empty. lr: of the optimizer.
  std::function<std::unique_ptr<RateFeedback>(const ScheduleConfig&, double lr)> feedback = {};
};

/// Of schedules that fall to a rate.
struct MinimumOptions {
  double min_lr = 0.0;

  std::vector<Key> keys() { return {{"min_lr", &min_lr, at_least(0), "learning rate at the end"}}; }
};

/// How far a point is, 0 .. 1.
double progress(const SchedulePoint& at) {
  return std::min(1.0, at.step / std::max(1.0, at.steps));
}

double cosine_rate(const ScheduleConfig& schedule, const SchedulePoint& at) {
  const auto min_lr = schedule.own<MinimumOptions>().min_lr;
  return min_lr + (at.lr - min_lr) * 0.5 * (1.0 + std::cos(std::numbers::pi * progress(at)));
}

double linear_rate(const ScheduleConfig& schedule, const SchedulePoint& at) {
  const auto min_lr = schedule.own<MinimumOptions>().min_lr;
  return min_lr + (at.lr - min_lr) * (1.0 - progress(at));
}

void check_minimum(const ScheduleConfig& schedule, double lr) {
  const auto min_lr = schedule.own<MinimumOptions>().min_lr;
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

struct PolynomialOptions {
  double power = 0.9;

  std::vector<Key> keys() {
    return newer({{"power", &power, above(0), "of the part of the run that is left"}});
  }
};

double polynomial_rate(const ScheduleConfig& schedule, const SchedulePoint& at) {
  const auto min_lr = schedule.own<MinimumOptions>().min_lr;
  const auto power = schedule.own<PolynomialOptions>().power;
  return min_lr + (at.lr - min_lr) * std::pow(1.0 - progress(at), power);
}

struct OneCycleOptions {
  double pct_start = 0.3;
  double div_factor = 25.0;
  double final_div_factor = 1e4;
  std::string anneal = "cos";

  std::vector<Key> keys() {
    return newer(
        {{"pct_start", &pct_start, between(0, 1), "part of the steps in which the rate rises"},
         {"div_factor", &div_factor, at_least(1), "the run begins at optimizer.lr / div_factor"},
         {"final_div_factor", &final_div_factor, at_least(1),
          "and ends at that rate / final_div_factor"},
         {"anneal", &anneal, Choices{"cos", "linear"}, "shape of rise and fall"}});
  }
};

/// Smith & Topin (arXiv 1708.07120) in two phases, as torch.optim.lr_scheduler.OneCycleLR.
double one_cycle_rate(const ScheduleConfig& schedule, const SchedulePoint& at) {
  const auto options = schedule.own<OneCycleOptions>();
  const double first = at.lr / options.div_factor;
  const double top = options.pct_start * at.steps - 1.0;  // the step of the highest rate
  const double last = at.steps - 1.0;
  const bool rising = at.step <= top;
  const double from = rising ? 0.0 : top;
  const double length = (rising ? top : last) - from;
  const double part = length > 0 ? std::min(1.0, (at.step - from) / length) : 1.0;
  const double begin = rising ? first : at.lr;
  const double end = rising ? at.lr : first / options.final_div_factor;
  if (options.anneal == "linear") return begin + (end - begin) * part;
  return end + (begin - end) * 0.5 * (1.0 + std::cos(std::numbers::pi * part));
}

std::vector<Key> polynomial_keys(ScheduleConfig& schedule) {
  auto keys = schedule.own<MinimumOptions>().keys();
  for (auto& key : schedule.own<PolynomialOptions>().keys()) keys.push_back(std::move(key));
  return keys;
}

std::vector<Key> plateau_keys(ScheduleConfig& schedule) {
  auto keys = schedule.own<MinimumOptions>().keys();
  for (auto& key : schedule.own<PlateauOptions>().keys()) keys.push_back(std::move(key));
  return keys;
}

double constant_rate(const ScheduleConfig& /*schedule*/, const SchedulePoint& at) {
  return at.lr;
}

const std::vector<ScheduleEntry>& schedule_table() {
  static const std::vector<ScheduleEntry> table = {
      {"constant", constant_rate},
      {"cosine", cosine_rate, own_keys<MinimumOptions>, check_minimum, /*depends_on_epochs=*/true},
      {"step", step_rate, own_keys<StepOptions>},
      {"linear", linear_rate, own_keys<MinimumOptions>, {}, /*depends_on_epochs=*/true},
      {"polynomial", polynomial_rate, polynomial_keys, {}, /*depends_on_epochs=*/true},
      {"one_cycle", one_cycle_rate, own_keys<OneCycleOptions>, {}, /*depends_on_epochs=*/true},
      {.name = "plateau",
       .rate = constant_rate,
       .keys = plateau_keys,
       .feedback =
           [](const ScheduleConfig& schedule, double lr) {
             return std::make_unique<Plateau>(schedule.own<PlateauOptions>(), lr,
                                              schedule.own<MinimumOptions>().min_lr,
                                              schedule.warmup_epochs);
           }},
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

bool has_feedback(const ScheduleConfig& schedule) {
  return static_cast<bool>(find_schedule(schedule.name).feedback);
}

std::unique_ptr<RateFeedback> build_feedback(const ScheduleConfig& schedule, double lr) {
  const auto& entry = find_schedule(schedule.name);
  return entry.feedback ? entry.feedback(schedule, lr) : nullptr;
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
