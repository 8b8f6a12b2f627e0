#include "xception/train/trainer.h"

#include <algorithm>
#include <utility>

#include "initial_weights.h"
#include "training_failure.h"
#include "training_meter.h"
#include "xception/core/device_fault.h"
#include "xception/core/error.h"
#include "xception/core/json.h"
#include "xception/core/log.h"
#include "xception/core/signals.h"
#include "xception/models/freeze.h"
#include "xception/optim/schedule.h"
#include "xception/parallel/device.h"
#include "xception/parallel/failure_cause.h"
#include "xception/train/evaluator.h"
#include "xception/train/model_card.h"
#include "xception/train/share_state.h"

namespace xception {
namespace {

/// Refuses a run without validation images whose course depends on them. Errors (input).
void check_validation_images(const Experiment& experiment) {
  if (!experiment.splits().validation.empty()) return;
  const auto& config = experiment.config();
  const auto refuse = [](const std::string& key, const auto& value) {
    throw input_error("config",
                      "{}: found {}, which looks at validation images, but there are none; set "
                      "data.validation_size",
                      key, value);
  };
  if (has_feedback(config.schedule)) refuse("schedule.name", config.schedule.name);
  if (config.train.early_stop_patience > 0) {
    refuse("train.early_stop_patience", config.train.early_stop_patience);
  }
}

}  // namespace

Trainer::Trainer(const Experiment& experiment, RunDirectory directory,
                 std::shared_ptr<Communicator> ranks)
    : experiment_(experiment),
      directory_(std::move(directory)),
      ranks_(std::move(ranks)),
      training_(experiment, ranks_),
      summary_(experiment),
      generators_(experiment.device(), *ranks_),
      steps_(xception::divide_epoch(experiment.config(), training_.loader->size(), 0)),
      feedback_(build_feedback(experiment.config().schedule, experiment.config().optimizer.lr)) {
  check_validation_images(experiment);
  (void)steps_of_all_epochs();  // refuses batches that grow beyond the images
  summary_.set_complexity(count_complexity(*training_.model, experiment.config().data.image_size));
  summary_.set_ranks(ranks_->size());
  shared_states_ = training_.states();
  shared_states_.insert(shared_states_.end(), {&summary_, &generators_});
  if (feedback_) shared_states_.push_back(feedback_.get());
  states_ = shared_states_;
}

Trainer::~Trainer() = default;

void Trainer::add_observer(std::shared_ptr<RunObserver> observer) {
  if (auto* stateful = dynamic_cast<Stateful*>(observer.get())) states_.push_back(stateful);
  observers_.push_back(std::move(observer));
}

CheckpointContent Trainer::content() {
  return {.model = *training_.model,
          .states = states_,
          .metadata = model_card(experiment_.config(), experiment_.dataset().class_names)};
}

void Trainer::load_initial_weights() {
  xception::load_initial_weights(training_, experiment_.config().train.init);
}

bool Trainer::stop_agreed() {
  // One number for both, since all ranks ask in each step.
  constexpr int kSave = 256;
  const int asked = StopSignals::received() + (StopSignals::take_save_request() ? kSave : 0);
  const int agreed = ranks_->agree_later(asked);
  stop_ = std::max(stop_, agreed % kSave);
  save_asked_ = save_asked_ || agreed >= kSave;
  return stop_ != 0;
}

TrainingPosition Trainer::resume() {
  if (is_root()) {
    mend_checkpoints(directory_);
    place_ = load_checkpoint(directory_, "last", content());
    if (summary_.best_epoch() > 0 && !has_checkpoint(directory_, "best")) {
      spdlog::warn(
          "warning: {}: the best checkpoint, of epoch {}, is missing; the last one takes its place "
          "until the next epoch",
          directory_.checkpoints().string(), summary_.best_epoch());
      take_last_for_best(directory_);
      summary_.forget_best();
    }
  }
  if (!ranks_->is_alone()) {
    training_.share_model();
    for (auto* state : shared_states_) share_state(*ranks_, *state);
    if (!is_root()) training_.metrics.reset();  // rank 0 has the sums of all
    const auto place = nlohmann::json::parse(ranks_->broadcast_text(
        nlohmann::json{place_.epoch, place_.step_in_epoch, place_.step}.dump()));
    place_ = {.epoch = place[0], .step_in_epoch = place[1], .step = place[2]};
  }
  // A checkpoint's model has the averages.
  if (training_.average) training_.average->put_in(false);
  divide_epoch();
  return place_;
}

void Trainer::divide_epoch() {
  steps_ = xception::divide_epoch(experiment_.config(), training_.loader->size(),
                                  std::min(place_.epoch, experiment_.config().train.epochs - 1));
}

std::int64_t Trainer::steps_of_all_epochs() const {
  return work_left(experiment_.config(), training_.loader->size(), 0).steps;
}

bool Trainer::stopped_early() const {
  const auto patience = experiment_.config().train.early_stop_patience;
  return patience > 0 && place_.epoch - summary_.best_epoch() >= patience;
}

int Trainer::run() {
  const auto finish = [&](RunStatus status) {
    if (!is_root()) return;
    if (training_.reducer && experiment_.device().is_cpu())
      summary_.set_reduction(training_.reducer->counters());
    const auto json = summary_.to_json(status);
    write_json(directory_.summary(), json);
    for (const auto& observer : observers_) observer->on_end(json);
  };
  try {
    if (is_root()) write_json(directory_.summary(), summary_.to_json(RunStatus::running));
    int stopped = train();
    if (stopped == 0 && place_.epoch < experiment_.config().train.epochs && !stopped_early()) {
      finish(RunStatus::paused);
      paused_after_ = place_.epoch;
      return 0;
    }
    if (stopped == 0) stopped = test();
    finish(stopped == 0 ? RunStatus::complete : RunStatus::interrupted);
    return stopped;
  } catch (const std::exception& failure) {
    try {
      finish(RunStatus::failed);
    } catch (const std::exception& error) {
      spdlog::error("{}", error.what());
    }
    if (dynamic_cast<const LostContact*>(&failure) != nullptr) throw;
    const std::string text = failure.what();
    if (cause_of(text, experiment_.device()) != FailureCause::device_fault) throw;
    // Not by unwinding, which would touch the GPU again.
    const auto line = device_fault_line(text, experiment_, place_, saved());
    ranks_->fail(line, 1, /*contact_lost=*/false);
    end_after_device_fault(line);
  }
}

int Trainer::train() {
  const auto& config = experiment_.config().train;
  const auto last = config.stop_after_epoch > 0 ? std::min(config.epochs, config.stop_after_epoch)
                                                : config.epochs;
  while (place_.epoch < last && !stopped_early()) {
    int stopped = train_epoch();
    if (stopped == 0) stopped = finish_epoch();
    if (stopped != 0) return stopped;
  }
  if (stopped_early() && place_.epoch < config.epochs) {
    summary_.set_stopped_early();
    spdlog::info(
        "stopped early, after epoch {} of {}: {} epochs without a better validation accuracy than "
        "epoch {}'s (train.early_stop_patience)",
        place_.epoch, config.epochs, place_.epoch - summary_.best_epoch(), summary_.best_epoch());
  }
  return 0;
}

int Trainer::train_epoch() {
  const auto& config = experiment_.config();
  divide_epoch();
  training_.loader->start_epoch(place_.epoch);
  rates_ = learning_rates(config.schedule, config.optimizer.lr, place_.epoch, steps_.count,
                          config.train.epochs);
  if (feedback_) {
    for (auto& rate : rates_) rate *= feedback_->factor();
  }
  training_.step->start_epoch(rates_, first_step(), place_.step_in_epoch, steps_.batch);
  if (place_.step_in_epoch == 0) training_.metrics.reset();
  training_.model->train();
  if (const auto from = config.train.freeze_batch_norm_epoch;
      from > 0 && place_.epoch + 1 >= from) {
    freeze_batch_norms(*training_.model);
    training_.step->record_again();
  }

  TrainingMeter meter(experiment_.device(), *ranks_, summary_, config.train.log_interval);
  // What isn't training, between two steps: neither its time nor its energy counts.
  const auto aside = [&](const auto& work) {
    meter.account();
    check_finite(training_.metrics.collect(*ranks_));
    work();
    meter.restart();
  };
  while (place_.step_in_epoch < steps_.count) {
    const auto size = steps_.size_of(place_.step_in_epoch);
    training_.step->run(size);
    ++place_.step_in_epoch;
    ++place_.step;
    meter.add_step(size);

    const bool last = place_.step_in_epoch == steps_.count;
    if (meter.report_due() && !last && is_root()) report_progress(meter.rate());
    const bool stop = stop_agreed();
    const auto interval = config.train.checkpoint_interval;
    const bool due = interval > 0 && place_.step % interval == 0;
    if (stop || ((due || save_asked_) && !last)) aside([&] { save(/*best=*/false); });
    if (stop) return stop_;
  }
  meter.account();
  check_finite(training_.metrics.collect(*ranks_));
  return 0;
}

void Trainer::report_progress(double rate) {
  const auto values = training_.metrics.value();
  check_finite(values);
  const auto& config = experiment_.config();
  const auto images_left = work_left(config, training_.loader->size(), place_.epoch).images -
                           place_.step_in_epoch * steps_.batch;
  Progress progress;
  progress.epoch = place_.epoch + 1;
  progress.epochs = config.train.epochs;
  progress.step = place_.step_in_epoch;
  progress.steps = steps_.count;
  progress.global_step = place_.step;
  progress.loss = values.loss;
  progress.accuracy = values.accuracy;
  progress.learning_rate = rates_[static_cast<std::size_t>(place_.step_in_epoch - 1)];
  progress.images_per_second = rate;
  progress.seconds_left = static_cast<double>(images_left) / rate;
  progress.memory_bytes = peak_memory_bytes(experiment_.device());
  for (const auto& observer : observers_) observer->on_progress(progress);
}

void Trainer::check_finite(const MetricValues& values) const {
  if (values.bad_step < 0) return;
  const auto in_epoch = values.bad_step - first_step();
  const auto rate =
      rates_.at(static_cast<std::size_t>(std::clamp<std::int64_t>(in_epoch, 0, steps_.count - 1)));
  throw loss_not_finite(values.bad_step, rate, experiment_.config(), place_, saved());
}

bool Trainer::saved() const {
  return has_checkpoint(directory_, "last");
}

void Trainer::check_weights() const {
  // The loss was finite before the last update; its weights need not be.
  const torch::NoGradGuard no_grad;
  auto finite = torch::ones({}, torch::TensorOptions(experiment_.device()).dtype(torch::kBool));
  for (const auto& [name, tensor] : model_tensors(*training_.model)) {
    if (tensor.is_floating_point()) finite = finite.logical_and(tensor.isfinite().all());
  }
  if (finite.item<bool>()) return;
  throw weights_not_finite(rates_.empty() ? 0.0 : rates_.back(), place_, saved());
}

void Trainer::save(bool best) {
  check_weights();
  generators_.gather();
  if (is_root()) {
    const AveragesInPlace averages(training_.average.get());
    save_checkpoint(directory_, place_, content(), best);
  }
  if (!std::exchange(save_asked_, false) || !is_root()) return;
  const bool at_end = place_.step_in_epoch == 0;
  spdlog::info("saved, as SIGUSR1 asked: after step {} of epoch {}",
               at_end ? steps_.count : place_.step_in_epoch,
               at_end ? place_.epoch : place_.epoch + 1);
}

}  // namespace xception
