#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "xception/core/state.h"
#include "xception/train/checkpoint.h"
#include "xception/train/evaluator.h"
#include "xception/train/experiment.h"
#include "xception/train/observer.h"
#include "xception/train/run_directory.h"
#include "xception/train/summary.h"
#include "xception/train/train_step.h"

namespace xception {

/// Trains one model into one run directory: the loop, and what happens between steps.
class Trainer {
 public:
  Trainer(const Experiment& experiment, RunDirectory directory);
  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// Adds somebody to tell; an observer that is also Stateful becomes part of the checkpoints.
  void add_observer(std::shared_ptr<RunObserver> observer);

  /// Takes up the run at its last checkpoint. Returns where that was.
  CheckpointPlace resume();

  /// Trains, validates each epoch, tests `best` and `last`, writes predictions and summary. Returns
  /// the signal that stopped it after saving, or 0. Errors (run): loss or weights not finite,
  /// checkpoint not saved.
  int run();

  [[nodiscard]] std::int64_t steps_per_epoch() const { return steps_per_epoch_; }
  /// Images at the end of an epoch that no step uses, and why; empty if all are used.
  [[nodiscard]] const std::string& dropped_notice() const { return dropped_notice_; }
  [[nodiscard]] Summary& summary() { return summary_; }
  [[nodiscard]] Classifier& model() { return *model_; }

 private:
  int train();
  /// One epoch's steps from where the place is. Returns the signal that interrupted it, or 0.
  int train_epoch();
  /// Validates and records the epoch whose steps are done. Returns as train_epoch.
  int finish_epoch();
  int test();
  /// Nothing if a signal interrupted it.
  std::optional<Evaluation> evaluate_split(Split split);
  void report_progress(double rate);
  void check_finite(const MetricValues& values) const;
  void check_weights() const;
  [[nodiscard]] std::string saved_notice() const;
  void save(bool best);
  [[nodiscard]] std::int64_t batch_size_of(std::int64_t step) const;
  [[nodiscard]] CheckpointContent content();

  const Experiment& experiment_;
  RunDirectory directory_;
  Precision precision_;
  std::shared_ptr<Classifier> model_;
  std::unique_ptr<BatchSource> source_;
  std::unique_ptr<Optimizer> optimizer_;
  GradientScaler scaler_;
  ClassificationMetrics metrics_;
  std::unique_ptr<TrainStep> step_;
  std::vector<std::shared_ptr<RunObserver>> observers_;
  Summary summary_;
  std::vector<std::unique_ptr<Stateful>> own_states_;
  std::vector<Stateful*> states_;
  std::int64_t steps_per_epoch_ = 0;
  std::int64_t images_per_epoch_ = 0;
  std::string dropped_notice_;
  CheckpointPlace place_;
  std::vector<double> rates_;
};

}  // namespace xception
