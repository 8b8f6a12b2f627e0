#pragma once

#include <cstdint>
#include <vector>

#include "xception/train/experiment.h"

namespace xception {

/// Which learning rates a range test goes through.
struct LrRange {
  double low = 1e-7;
  double high = 10.0;
  std::int64_t steps = 100;  ///< at most; at least 2
};

/// What a range test came to. The lists have a value a step.
struct LrRangeTest {
  std::vector<double> rates;
  std::vector<double> losses;     ///< of the step's batch, before its update
  std::vector<double> smoothed;   ///< exponential mean of the losses so far
  bool diverged = false;          ///< it ended because the loss rose
  double steepest = 0.0;          ///< the rate where the smoothed loss falls fastest
  double tenth_of_minimum = 0.0;  ///< a tenth of the rate with the lowest smoothed loss
};

/// The rate of a step, from 0: rising by the same factor each step.
[[nodiscard]] double rate_of_step(const LrRange& range, std::int64_t step);

/// Adds a loss and its smoothed value (fastai's AvgSmoothLoss: decay 0.98, without the bias of its
/// beginning). Returns whether the test goes on: the loss is finite, and the smoothed one at most
/// four times its lowest.
bool add_loss(LrRangeTest& test, double rate, double loss);

/// Sets steepest and tenth_of_minimum as fastai does: without the first tenth of the steps and,
/// where enough are left, the last five.
void suggest_rates(LrRangeTest& test);

/// The learning-rate range test (Smith, arXiv 1506.01186, section 3.3) as fastai's lr_find makes
/// it: a fresh model is trained, batch after batch, with an exponentially rising rate. With
/// train.init it begins with those weights. Nothing is saved. A stop signal ends it without a
/// suggestion. Errors (run): the loss isn't finite
/// from the first steps on.
[[nodiscard]] LrRangeTest test_learning_rates(const Experiment& experiment, const LrRange& range);

}  // namespace xception
