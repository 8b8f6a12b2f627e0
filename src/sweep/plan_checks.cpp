#include "plan_checks.h"

#include <algorithm>
#include <chrono>
#include <numeric>

#include "estimate.h"
#include "xception/core/error.h"
#include "xception/core/format.h"
#include "xception/core/log.h"
#include "xception/data/loader.h"
#include "xception/parallel/device.h"
#include "xception/sweep/scheduler.h"
#include "xception/train/experiment.h"

namespace xception {
namespace {

constexpr std::chrono::seconds kEstimateSeconds(8);

}  // namespace

void check_trials(const SweepConfig& sweep, const TrialPlan& plan, const Dataset& dataset) {
  for (const auto& trial : plan.trials) {
    auto config = trial.config;
    const auto& label = plan.variants[trial.variant].label;
    try {
      resolve_classes(config, dataset);
      const auto seed = static_cast<std::uint64_t>(config.seed);
      const auto splits = split_dataset(dataset, config.data, seed);
      check_transforms(config, dataset);
      const auto& metric = sweep.metric.name;
      const bool missing = (metric.starts_with("validation") && splits.validation.empty()) ||
                           (metric.find("test") != std::string::npos && splits.test.empty());
      if (missing) {
        throw input_error("config", "metric {}: the split that it needs is empty", metric);
      }
    } catch (const Error& error) {
      throw input_error("sweep", "{}: {}: {}", sweep.name, label, error.what());
    }
  }
}

void check_ends(const SweepConfig& sweep, const TrialPlan& plan) {
  auto epochs = plan.trials.front().config.train.epochs;
  for (const auto& trial : plan.trials) epochs = std::min(epochs, trial.config.train.epochs);
  if (sweep.max_epochs > 0 && sweep.max_epochs < epochs) {
    throw input_error(
        "sweep",
        "{}: limits.epochs: found {}, but a trial takes {} epochs, so that none could "
        "come to its end; raise it, or lower train.epochs",
        sweep.name, sweep.max_epochs, epochs);
  }
  if (!sweep.halving) return;
  const auto& halving = *sweep.halving;
  const auto count = static_cast<std::int64_t>(plan.trials.size());
  const auto needs = trials_to_complete(halving, epochs);
  if (count < needs.fewest) {
    throw input_error(
        "sweep",
        "{}: asha: found {} trials, but from asha.min_epochs {} on one in {} goes on, so that none "
        "of so few could come to epoch {}; expected at least {} trials ({} make it sure): sweep "
        "more, raise asha.min_epochs, or take asha out",
        sweep.name, count, halving.min_epochs, halving.reduction, epochs, needs.fewest,
        needs.enough);
  }
  if (count < needs.enough) {
    spdlog::warn(
        "warning: asha: whether one of {} trials comes to epoch {} depends on their order; {} "
        "trials make it sure",
        count, epochs, needs.enough);
  }
}

void show_plan(const SweepConfig& sweep, const TrialPlan& plan, const Dataset& dataset,
               std::int64_t jobs, const std::string& device) {
  spdlog::info("{}: {} variants x {} seeds = {} trials, metric {} ({}){}", sweep.name,
               plan.variants.size(), sweep.seeds.size(), plan.trials.size(), sweep.metric.name,
               sweep.metric.maximize ? "maximize" : "minimize",
               sweep.halving ? fmt::format(", successive halving from {} epochs by {}",
                                           sweep.halving->min_epochs, sweep.halving->reduction)
                             : "");
  for (const auto& trial : plan.trials) {
    spdlog::info("  {:<60}  {} epochs", trial.name, trial.config.train.epochs);
  }
  const auto seconds = estimate_seconds(plan, dataset, parse_device(device), kEstimateSeconds);
  if (seconds) {
    const auto [shortest, longest] = std::minmax_element(seconds->begin(), seconds->end());
    const auto least = format_duration(*shortest);
    const auto most = format_duration(*longest);
    // On a CPU jobs share it; GPUs work side by side.
    const auto all = std::accumulate(seconds->begin(), seconds->end(), 0.0);
    const bool on_cpu = parse_device_choice(device).kind == DeviceChoice::Kind::cpu;
    const auto side_by_side = on_cpu ? 1.0 : static_cast<double>(jobs);
    spdlog::info("about {} a trial alone, {} in all with {} jobs{}",
                 least == most ? least : fmt::format("{} to {}", least, most),
                 format_duration(all / side_by_side), jobs,
                 sweep.halving ? ", less what is stopped early" : "");
  } else {
    spdlog::info("how long they take is left out: to find out took more than {} s",
                 kEstimateSeconds.count());
  }
  spdlog::info("nothing was trained, nothing was written");
}

}  // namespace xception
