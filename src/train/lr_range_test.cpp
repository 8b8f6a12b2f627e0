#include "xception/train/lr_range_test.h"

#include <algorithm>
#include <cmath>

#include "initial_weights.h"
#include "xception/core/error.h"
#include "xception/core/signals.h"
#include "xception/train/epoch_steps.h"
#include "xception/train/training.h"

namespace xception {

double rate_of_step(const LrRange& range, std::int64_t step) {
  const auto part = static_cast<double>(step) / static_cast<double>(range.steps - 1);
  return range.low * std::pow(range.high / range.low, part);
}

bool add_loss(LrRangeTest& test, double rate, double loss) {
  constexpr double kDecay = 0.98;
  constexpr double kDiverged = 4.0;  // times the lowest
  if (!std::isfinite(loss)) {
    test.diverged = true;
    return false;
  }
  const auto count = static_cast<double>(test.losses.size());
  // The mean with its bias, which is what goes on.
  const double mean =
      test.smoothed.empty() ? 0.0 : test.smoothed.back() * (1.0 - std::pow(kDecay, count));
  const double now = kDecay * mean + (1.0 - kDecay) * loss;
  test.rates.push_back(rate);
  test.losses.push_back(loss);
  test.smoothed.push_back(now / (1.0 - std::pow(kDecay, count + 1.0)));
  const auto lowest = *std::min_element(test.smoothed.begin(), test.smoothed.end());
  test.diverged = test.smoothed.back() > kDiverged * lowest;
  return !test.diverged;
}

void suggest_rates(LrRangeTest& test) {
  constexpr std::size_t kLast = 5;
  const auto& rates = test.rates;
  const auto& losses = test.smoothed;
  if (rates.size() < 2) throw run_error("train", "--find-lr: the loss isn't finite");
  const std::size_t first = rates.size() / 10;
  const std::size_t end = rates.size() >= first + kLast + 3 ? rates.size() - kLast : rates.size();
  std::size_t steepest = first;
  std::size_t lowest = first;
  const auto slope = [&](std::size_t i) {
    return (losses[i + 1] - losses[i]) / (std::log(rates[i + 1]) - std::log(rates[i]));
  };
  for (std::size_t i = first; i < end; ++i) {
    if (i + 1 < end && slope(i) < slope(steepest)) steepest = i;
    if (losses[i] < losses[lowest]) lowest = i;
  }
  test.steepest = rates[steepest];
  test.tenth_of_minimum = rates[lowest] / 10.0;
}

LrRangeTest test_learning_rates(const Experiment& experiment, const LrRange& range) {
  const auto& config = experiment.config();
  Training training(experiment, Communicator::alone());
  if (!config.train.init.empty()) load_initial_weights(training, config.train.init);
  training.model->train();
  const auto epoch = divide_epoch(config, training.loader->size(), 0);
  LrRangeTest test;
  bool goes_on = true;
  for (std::int64_t step = 0; step < range.steps && goes_on; ++step) {
    const auto in_epoch = step % epoch.count;
    if (in_epoch == 0) {
      std::vector<double> rates;
      for (std::int64_t i = 0; i < epoch.count; ++i) {
        rates.push_back(rate_of_step(range, std::min(step + i, range.steps - 1)));
      }
      training.loader->start_epoch(step / epoch.count);
      training.step->start_epoch(rates, step, 0, epoch.batch);
    }
    training.metrics.reset();
    training.step->run(epoch.size_of(in_epoch));
    goes_on = add_loss(test, rate_of_step(range, step), training.metrics.value().loss) &&
              StopSignals::received() == 0;
  }
  if (StopSignals::received() == 0) suggest_rates(test);
  return test;
}

}  // namespace xception
