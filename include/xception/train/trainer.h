#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "xception/core/state.h"
#include "xception/optim/plateau.h"
#include "xception/parallel/communicator.h"
#include "xception/train/checkpoint.h"
#include "xception/train/epoch_steps.h"
#include "xception/train/evaluator.h"
#include "xception/train/experiment.h"
#include "xception/train/generators.h"
#include "xception/train/observer.h"
#include "xception/train/run_directory.h"
#include "xception/train/summary.h"
#include "xception/train/training.h"

namespace xception {

/// Trains one model into one run directory: the loop, and what happens between steps. With an
/// average of the weights (`average.name`), that is what is validated, saved and tested.
///
/// Of several ranks each has a Trainer, and they go in step: every decision (stop, best epoch, end)
/// is made from values that all have. Only rank 0 touches the run directory.
class Trainer {
 public:
  /// Errors (input): the config looks at validation images, and there are none.
  Trainer(const Experiment& experiment, RunDirectory directory,
          std::shared_ptr<Communicator> ranks);
  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// Adds somebody to tell; an observer that is also Stateful becomes part of the checkpoints.
  void add_observer(std::shared_ptr<RunObserver> observer);

  /// Begins with the weights of train.init. Errors (input): they don't fit.
  void load_initial_weights();

  /// Takes up the run at its last checkpoint, which rank 0 reads and the others get. Returns where
  /// that was.
  TrainingPosition resume();

  /// Trains, validates each epoch, tests `best` and `last`, writes predictions and summary; with
  /// train.stop_after_epoch it leaves there, status `paused`, without a test. Returns the signal
  /// that stopped it after saving, or 0. Errors (run): loss or weights not finite, checkpoint not
  /// saved. A fault of the GPU ends the process with code 1 and a line that says how to go on.
  int run();

  /// The epoch after which run() left because of train.stop_after_epoch.
  [[nodiscard]] std::optional<std::int64_t> paused_after() const { return paused_after_; }

  /// Whether train.early_stop_patience epochs have passed without a better validation accuracy.
  [[nodiscard]] bool stopped_early() const;

  /// Of the epoch where training is.
  [[nodiscard]] std::int64_t steps_per_epoch() const { return steps_.count; }
  [[nodiscard]] std::int64_t steps_of_all_epochs() const;
  /// Images at the end of an epoch that no step uses, and why; empty if all are used.
  [[nodiscard]] const std::string& dropped_notice() const { return steps_.dropped; }
  [[nodiscard]] Summary& summary() { return summary_; }
  [[nodiscard]] Classifier& model() { return *training_.model; }

 private:
  [[nodiscard]] bool is_root() const { return ranks_->is_root(); }
  /// Whether any rank was asked to stop; all ranks get the same answer. The signal is in stop_, a
  /// wish to save in save_asked_.
  bool stop_agreed();
  int train();
  /// The steps of the epoch where the place is.
  void divide_epoch();
  /// Steps of the epochs before it.
  [[nodiscard]] std::int64_t first_step() const { return place_.step - place_.step_in_epoch; }
  /// One epoch's steps from where the place is. Returns the signal that interrupted it, or 0.
  int train_epoch();
  /// Brings the average, if any, to the end of the epoch whose steps are done.
  void finish_average();
  /// Validates and records the epoch whose steps are done. Returns as train_epoch.
  int finish_epoch();
  int test();
  /// Nothing if a signal interrupted it.
  std::optional<Evaluation> evaluate_split(Split split, bool predictions);
  void report_progress(double rate);
  void check_finite(const MetricValues& values) const;
  void check_weights() const;
  /// Whether there is a checkpoint.
  [[nodiscard]] bool saved() const;
  void save(bool best);
  [[nodiscard]] CheckpointContent content();

  const Experiment& experiment_;
  RunDirectory directory_;
  std::shared_ptr<Communicator> ranks_;
  Training training_;
  std::vector<std::shared_ptr<RunObserver>> observers_;
  Summary summary_;
  Generators generators_;
  EpochSteps steps_;
  std::unique_ptr<RateFeedback> feedback_;  ///< or none
  std::vector<Stateful*> shared_states_;    ///< of every rank
  std::vector<Stateful*> states_;           ///< and, on rank 0, the observers'
  int stop_ = 0;
  bool save_asked_ = false;  ///< by SIGUSR1, and not done yet
  TrainingPosition place_;
  std::optional<std::int64_t> paused_after_;
  std::vector<double> rates_;
};

}  // namespace xception
