#include "xception/train/trainer.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "xception/core/device_fault.h"
#include "xception/core/error.h"
#include "xception/core/first_line.h"
#include "xception/core/json.h"
#include "xception/core/log.h"
#include "xception/core/signals.h"
#include "xception/optim/schedule.h"
#include "xception/parallel/device.h"
#include "xception/parallel/energy.h"
#include "xception/parallel/failure_cause.h"
#include "xception/train/epoch_clock.h"
#include "xception/train/evaluator.h"
#include "xception/train/predictions.h"
#include "xception/train/share_state.h"

namespace xception {

Trainer::Trainer(const Experiment& experiment, RunDirectory directory,
                 std::shared_ptr<Communicator> ranks)
    : experiment_(experiment),
      directory_(std::move(directory)),
      ranks_(std::move(ranks)),
      training_(experiment, ranks_),
      summary_(experiment),
      generators_(experiment.device(), *ranks_) {
  const auto& config = experiment_.config();
  const auto batch = config.train.batch_size;
  const auto images = training_.loader->size();
  const auto rest = images % batch;
  images_per_epoch_ = images;
  if (rest != 0 && config.data.drop_last) {
    images_per_epoch_ -= rest;
    dropped_notice_ = fmt::format("{} images left over (data.drop_last)", rest);
  } else if (rest == 1) {
    images_per_epoch_ -= rest;
    dropped_notice_ = "1 image left over (BatchNorm needs more than one in a batch)";
  }
  if (images_per_epoch_ == 0) {
    throw input_error("config",
                      "train.batch_size: found {} for {} training images, which leaves no "
                      "step; lower it or set data.drop_last=false",
                      batch, images);
  }
  steps_per_epoch_ = (images_per_epoch_ + batch - 1) / batch;

  summary_.set_complexity(count_complexity(*training_.model, config.data.image_size));
  summary_.set_ranks(ranks_->size());
  shared_states_ = training_.states();
  shared_states_.insert(shared_states_.end(), {&summary_, &generators_});
  states_ = shared_states_;
}

Trainer::~Trainer() = default;

void Trainer::add_observer(std::shared_ptr<RunObserver> observer) {
  if (auto* stateful = dynamic_cast<Stateful*>(observer.get())) states_.push_back(stateful);
  observers_.push_back(std::move(observer));
}

CheckpointContent Trainer::content() {
  return {.model = *training_.model, .states = states_};
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
  if (ranks_->is_alone()) return place_;
  training_.share_model();
  for (auto* state : shared_states_) share_state(*ranks_, *state);
  if (!is_root()) training_.metrics.reset();  // rank 0 has the sums of all
  const auto place = nlohmann::json::parse(ranks_->broadcast_text(
      nlohmann::json{place_.epoch, place_.step_in_epoch, place_.step}.dump()));
  place_ = {.epoch = place[0], .step_in_epoch = place[1], .step = place[2]};
  return place_;
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
    if (stopped == 0 && place_.epoch < experiment_.config().train.epochs) {
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
    const auto line = device_fault_line(text);
    ranks_->fail(line, 1, /*contact_lost=*/false);
    end_after_device_fault(line);
  }
}

std::string Trainer::device_fault_line(const std::string& text) const {
  const auto& execution = experiment_.execution();
  const bool own = execution.kernels == Kernels::fused || execution.graph;
  return fmt::format(
      "[train] {}: {}, at about step {} (epoch {}); {}; {}", experiment_.device().str(),
      first_line(text), place_.step + 1, place_.epoch + 1, saved_notice(),
      own ? "our own kernels or the recorded step may be at fault: go on without them by --resume "
            "train.kernels=reference train.cuda_graph=false"
          : "train.kernels=reference train.cuda_graph=false was in use, so look at the GPU: "
            "xception "
            "doctor, nvidia-smi, the kernel's log (dmesg)");
}

int Trainer::train() {
  const auto& config = experiment_.config().train;
  const auto last = config.stop_after_epoch > 0 ? std::min(config.epochs, config.stop_after_epoch)
                                                : config.epochs;
  while (place_.epoch < last) {
    int stopped = train_epoch();
    if (stopped == 0) stopped = finish_epoch();
    if (stopped != 0) return stopped;
  }
  return 0;
}

std::int64_t Trainer::batch_size_of(std::int64_t step) const {
  const auto batch = experiment_.config().train.batch_size;
  return std::min(batch, images_per_epoch_ - step * batch);
}

int Trainer::train_epoch() {
  const auto& config = experiment_.config();
  const auto batch = config.train.batch_size;
  training_.loader->start_epoch(place_.epoch);
  rates_ = learning_rates(config.schedule, config.optimizer.lr, place_.epoch, steps_per_epoch_,
                          config.train.epochs);
  training_.step->start_epoch(rates_, place_.epoch * steps_per_epoch_, place_.step_in_epoch, batch);
  if (place_.step_in_epoch == 0) training_.metrics.reset();
  training_.model->train();

  EpochClock clock(config.train.log_interval, StatusLine::available());
  // Of several ranks each has a GPU of its own, and rank 0 would tell only of its own.
  const auto read_energy = [&] {
    return ranks_->is_alone() ? energy_joules(experiment_.device()) : std::nullopt;
  };
  auto energy = read_energy();
  const auto account = [&] {
    synchronize(experiment_.device());
    const auto [seconds, images] = clock.take();
    summary_.add_train_seconds(seconds, images);
    if (const auto suspended = clock.take_suspended(); suspended > 0) {
      spdlog::info("was suspended for {:.1f} s, not counted as training", suspended);
      summary_.add_suspended_seconds(suspended);
    }
    const auto now = read_energy();
    if (now && energy) summary_.add_train_energy(*now - *energy);
  };
  // What isn't training, between two steps: neither its time nor its energy counts.
  const auto aside = [&](const auto& work) {
    account();
    check_finite(training_.metrics.collect(*ranks_));
    work();
    clock.restart();
    energy = read_energy();
  };
  while (place_.step_in_epoch < steps_per_epoch_) {
    const auto size = batch_size_of(place_.step_in_epoch);
    training_.step->run(size);
    ++place_.step_in_epoch;
    ++place_.step;
    clock.add_step(size);

    const bool last = place_.step_in_epoch == steps_per_epoch_;
    if (clock.report_due() && !last && is_root()) report_progress(clock.rate());
    const bool stop = stop_agreed();
    const auto interval = config.train.checkpoint_interval;
    const bool due = interval > 0 && place_.step % interval == 0;
    if (stop || ((due || save_asked_) && !last)) aside([&] { save(/*best=*/false); });
    if (stop) return stop_;
  }
  account();
  check_finite(training_.metrics.collect(*ranks_));
  return 0;
}

int Trainer::finish_epoch() {
  check_weights();
  EpochRecord record;
  if (!experiment_.splits().validation.empty()) {
    EpochClock clock(1, false);
    const auto evaluation = evaluate_split(Split::validation, /*predictions=*/false);
    if (!evaluation) {
      save(/*best=*/false);
      return stop_;
    }
    record.validation_loss = evaluation->metrics.loss;
    record.validation_accuracy = evaluation->metrics.accuracy;
    record.validation_seconds = clock.take().first;
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

void Trainer::report_progress(double rate) {
  const auto values = training_.metrics.value();
  check_finite(values);
  const auto& config = experiment_.config();
  const auto steps_left =
      (config.train.epochs - place_.epoch) * steps_per_epoch_ - place_.step_in_epoch;
  Progress progress;
  progress.epoch = place_.epoch + 1;
  progress.epochs = config.train.epochs;
  progress.step = place_.step_in_epoch;
  progress.steps = steps_per_epoch_;
  progress.global_step = place_.step;
  progress.loss = values.loss;
  progress.accuracy = values.accuracy;
  progress.learning_rate = rates_[static_cast<std::size_t>(place_.step_in_epoch - 1)];
  progress.images_per_second = rate;
  progress.seconds_left = static_cast<double>(steps_left * config.train.batch_size) / rate;
  progress.memory_bytes = peak_memory_bytes(experiment_.device());
  for (const auto& observer : observers_) observer->on_progress(progress);
}

void Trainer::check_finite(const MetricValues& values) const {
  if (values.bad_step < 0) return;
  const auto in_epoch = values.bad_step - place_.epoch * steps_per_epoch_;
  const auto rate = rates_.at(
      static_cast<std::size_t>(std::clamp<std::int64_t>(in_epoch, 0, steps_per_epoch_ - 1)));
  throw run_error("train",
                  "loss is not finite at step {} (epoch {}), learning rate {:g}; try a lower "
                  "optimizer.lr, optimizer.clip_norm=1 or schedule.warmup_epochs=1, or another "
                  "train.precision (found {}); {}",
                  values.bad_step + 1, place_.epoch + 1, rate, experiment_.config().train.precision,
                  saved_notice());
}

std::string Trainer::saved_notice() const {
  return has_checkpoint(directory_, "last") ? "the last checkpoint is intact"
                                            : "nothing was saved yet";
}

void Trainer::check_weights() const {
  // The loss was finite before the last update; its weights need not be.
  const torch::NoGradGuard no_grad;
  auto finite = torch::ones({}, torch::TensorOptions(experiment_.device()).dtype(torch::kBool));
  for (const auto& [name, tensor] : model_tensors(*training_.model)) {
    if (tensor.is_floating_point()) finite = finite.logical_and(tensor.isfinite().all());
  }
  if (finite.item<bool>()) return;
  throw run_error(
      "train",
      "weights are not finite after step {} (epoch {}), learning rate {:g}; try a lower "
      "optimizer.lr, optimizer.clip_norm=1 or schedule.warmup_epochs=1; {}",
      place_.step, place_.epoch + 1, rates_.empty() ? 0.0 : rates_.back(), saved_notice());
}

void Trainer::save(bool best) {
  check_weights();
  generators_.gather();
  if (is_root()) save_checkpoint(directory_, place_, content(), best);
  if (!std::exchange(save_asked_, false) || !is_root()) return;
  const bool at_end = place_.step_in_epoch == 0;
  spdlog::info("saved, as SIGUSR1 asked: after step {} of epoch {}",
               at_end ? steps_per_epoch_ : place_.step_in_epoch,
               at_end ? place_.epoch : place_.epoch + 1);
}

}  // namespace xception
