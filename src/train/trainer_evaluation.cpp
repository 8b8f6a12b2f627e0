// What a Trainer does at an epoch's end, and at the run's: averages, validation, tests.
#include <algorithm>
#include <string>
#include <utility>

#include "batch_norm_statistics.h"
#include "xception/core/json.h"
#include "xception/core/log.h"
#include "xception/core/signals.h"
#include "xception/parallel/device.h"
#include "xception/train/epoch_clock.h"
#include "xception/train/evaluator.h"
#include "xception/train/predictions.h"
#include "xception/train/trainer.h"

namespace xception {

void Trainer::finish_average() {
  auto* average = training_.average.get();
  if (average == nullptr) return;
  average->after_epoch(place_.epoch + 1);
  const auto& config = experiment_.config();
  // Of several ranks, the others get rank 0's.
  if (config.average.batch_norm != "recompute" || !average->is_ready() || !is_root()) return;
  const AveragesInPlace averages(average);
  const auto loader = experiment_.first_training_images(config.average.batch_norm_images);
  if (training_.statistics) synchronize_batch_norm(*training_.model, nullptr);
  recompute_batch_norm(*training_.model, *loader, training_.precision,
                       std::max<std::int64_t>(2, config.train.batch_size / ranks_->size()));
  if (training_.statistics) synchronize_batch_norm(*training_.model, training_.statistics);
}

int Trainer::finish_epoch() {
  check_weights();
  finish_average();
  EpochRecord record;
  if (!experiment_.splits().validation.empty()) {
    EpochClock clock(1, false);
    const AveragesInPlace averages(training_.average.get());
    const auto evaluation = evaluate_split(Split::validation, /*predictions=*/false);
    if (!evaluation) {
      save(/*best=*/false);
      return stop_;
    }
    record.validation_loss = evaluation->metrics.loss;
    record.validation_accuracy = evaluation->metrics.accuracy;
    record.validation_seconds = clock.take().first;
    if (feedback_) {
      feedback_->record({.epoch = place_.epoch + 1,
                         .validation_loss = evaluation->metrics.loss,
                         .validation_accuracy = evaluation->metrics.accuracy});
    }
  }
  const auto values = training_.metrics.value();
  record.epoch = place_.epoch + 1;
  record.global_step = place_.step;
  record.train_loss = values.loss;
  record.train_accuracy = values.accuracy;
  std::tie(record.train_seconds, record.images_per_second) = summary_.finish_epoch_time();
  record.learning_rate = rates_.back();
  record.memory_bytes = peak_memory_bytes(experiment_.device());
  for (const auto& observer : observers_) observer->on_epoch(record);

  ++place_.epoch;
  place_.step_in_epoch = 0;
  save(summary_.record_epoch(place_.epoch, record.validation_accuracy));
  if (is_root()) write_json(directory_.summary(), summary_.to_json(RunStatus::running));
  stop_ = ranks_->agree(std::max(stop_, StopSignals::received()));
  return stop_;
}

int Trainer::test() {
  if (experiment_.splits().test.empty()) return 0;
  std::optional<Evaluation> evaluation;
  TrainingPosition place;
  for (const std::string checkpoint : {"last", "best"}) {
    // Where the last epoch is the best, its images are not run twice.
    const bool same = is_root() && is_same_checkpoint(directory_, "last", "best");
    if (!evaluation || ranks_->agree(same ? 1 : 0) == 0) {
      if (is_root()) place = load_checkpoint_model(directory_, checkpoint, *training_.model);
      evaluation = evaluate_split(Split::test, /*predictions=*/true);
    }
    if (!evaluation) return stop_;
    const auto& metrics = evaluation->metrics;
    if (checkpoint == "last") summary_.set_last_test(metrics.accuracy);
    if (checkpoint == "best") summary_.set_best_test(metrics.accuracy, metrics.loss);
    if (!is_root()) continue;
    save_predictions(directory_.predictions(checkpoint, "test"), *evaluation,
                     prediction_origin(checkpoint, place, "test", experiment_.dataset()));
    spdlog::info("test, checkpoint {}: loss {:.4f}  accuracy {:.2f} % of {} images", checkpoint,
                 metrics.loss, 100.0 * metrics.accuracy, metrics.count);
  }
  return 0;
}

std::optional<Evaluation> Trainer::evaluate_split(Split split, bool predictions) {
  // BatchNorm's running statistics are each rank's own until here.
  training_.share_model();
  const auto loader = experiment_.evaluation_loader(split);
  auto options = experiment_.evaluation_options(ranks_->size());
  options.predictions = predictions;
  options.ranks = ranks_.get();
  options.interrupted = [this] { return stop_agreed(); };
  return evaluate(*training_.model, *loader, options);
}

}  // namespace xception
