#pragma once

#include <memory>

#include "xception/models/batch_norm.h"
#include "xception/optim/weight_average.h"
#include "xception/parallel/communicator.h"
#include "xception/parallel/gradient_reducer.h"
#include "xception/train/experiment.h"
#include "xception/train/train_step.h"

namespace xception {

/// What training works on, built from an experiment, and the step over it: the same objects whoever
/// runs the steps (Trainer, or bench to measure them). The experiment outlives it.
struct Training {
  /// Draws the initial weights, which of several ranks all get from rank 0, and seeds the other
  /// ranks' generators with numbers of their own.
  Training(const Experiment& experiment, std::shared_ptr<Communicator> communicator);
  Training(const Training&) = delete;
  Training& operator=(const Training&) = delete;

  /// What a checkpoint holds besides the model, of every rank.
  [[nodiscard]] std::vector<Stateful*> states();

  /// Rank 0's weights and buffers, to all.
  void share_model();

  std::shared_ptr<Communicator> ranks;
  Precision precision;
  std::shared_ptr<Classifier> model;
  std::unique_ptr<Loader> loader;
  std::unique_ptr<Optimizer> optimizer;
  std::unique_ptr<WeightAverage> average;  ///< or none
  GradientScaler scaler;
  ClassificationMetrics metrics;
  std::shared_ptr<StatisticsSync> statistics;          ///< with BatchNorm over all ranks
  std::unique_ptr<GradientReducer> reducer;            ///< with several ranks
  std::unique_ptr<LowPrecisionWeights> low_precision;  ///< with fused kernels and autocast
  std::unique_ptr<TrainStep> step;
};

}  // namespace xception
