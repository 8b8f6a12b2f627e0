#include "xception/train/trainer.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "xception/core/error.h"
#include "xception/core/json.h"
#include "xception/core/log.h"
#include "xception/core/signals.h"
#include "xception/optim/schedule.h"
#include "xception/parallel/device.h"
#include "xception/train/epoch_clock.h"
#include "xception/train/evaluator.h"
#include "xception/train/predictions.h"
#include "xception/train/share_state.h"

namespace xception {
namespace {

StepOptions step_options(const RunConfig& config, const Precision& precision,
                         const Communicator& ranks) {
  return {.precision = precision,
          .accumulate = config.train.accumulate,
          .aux_weight = config.model.aux_weight.value_or(0.0),
          .label_smoothing = config.train.label_smoothing,
          .clip_norm = config.optimizer.clip_norm,
          .channels_last = config.train.channels_last,
          .rank = ranks.rank(),
          .ranks = ranks.size()};
}

}  // namespace

Trainer::Trainer(const Experiment& experiment, RunDirectory directory,
                 std::shared_ptr<Communicator> ranks)
    : experiment_(experiment),
      directory_(std::move(directory)),
      ranks_(std::move(ranks)),
      precision_(parse_precision(experiment.config().train.precision)),
      model_(experiment.build_model(precision_)),
      source_(experiment.source(Split::train, Order::shuffled, experiment.train_pipeline())),
      optimizer_(build_optimizer(experiment.config().optimizer, named_parameters(*model_))),
      scaler_(precision_.scaled, experiment.device()),
      metrics_(experiment.device()),
      summary_(experiment),
      generators_(experiment.device(), *ranks_) {
  const auto& config = experiment_.config();
  if (!ranks_->is_alone()) {
    share_model();
    const auto megabyte = static_cast<double>(1 << 20);
    reducer_ = std::make_unique<GradientReducer>(
        ranks_, named_parameters(*model_),
        ReducerOptions{
            .bucket_bytes = static_cast<std::int64_t>(config.parallel.bucket_mb * megabyte),
            .find_unused_parameters = config.parallel.find_unused_parameters});
    if (config.parallel.batch_norm == "sync") {
      statistics_ = std::make_shared<StatisticsSync>(StatisticsSync{.ranks = ranks_});
      synchronize_batch_norm(*model_, statistics_);
    }
    // After the initial weights, which rank 0 draws as a process alone does.
    if (!is_root()) seed_generators(static_cast<std::uint64_t>(config.seed), ranks_->rank());
  }
  step_ =
      std::make_unique<TrainStep>(StepParts{.model = *model_,
                                            .source = *source_,
                                            .pipeline = experiment_.train_pipeline(),
                                            .optimizer = *optimizer_,
                                            .scaler = scaler_,
                                            .metrics = metrics_,
                                            .reducer = reducer_.get(),
                                            .statistics = statistics_.get()},
                                  step_options(config, precision_, *ranks_), experiment_.device());

  const auto batch = config.train.batch_size;
  const auto images = source_->size();
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

  summary_.set_complexity(count_complexity(*model_, config.data.image_size));
  summary_.set_ranks(ranks_->size());
  shared_states_ = {optimizer_.get(), &scaler_, &metrics_, &summary_, &generators_};
  if (reducer_) shared_states_.push_back(reducer_.get());
  states_ = shared_states_;
}

Trainer::~Trainer() = default;

void Trainer::add_observer(std::shared_ptr<RunObserver> observer) {
  if (auto* stateful = dynamic_cast<Stateful*>(observer.get())) states_.push_back(stateful);
  observers_.push_back(std::move(observer));
}

CheckpointContent Trainer::content() {
  return {.model = *model_, .states = states_};
}

bool Trainer::stop_agreed() {
  stop_ = std::max(stop_, ranks_->agree_later(StopSignals::received()));
  return stop_ != 0;
}

void Trainer::share_model() {
  std::vector<torch::Tensor> tensors;
  for (const auto& [name, tensor] : model_tensors(*model_)) tensors.push_back(tensor);
  ranks_->broadcast(tensors);
}

CheckpointPlace Trainer::resume() {
  if (is_root()) place_ = load_checkpoint(directory_, "last", content());
  if (ranks_->is_alone()) return place_;
  share_model();
  for (auto* state : shared_states_) share_state(*ranks_, *state);
  if (!is_root()) metrics_.reset();  // rank 0 has the sums of all
  const auto place = nlohmann::json::parse(ranks_->broadcast_text(
      nlohmann::json{place_.epoch, place_.step_in_epoch, place_.step}.dump()));
  place_ = {.epoch = place[0], .step_in_epoch = place[1], .step = place[2]};
  return place_;
}

int Trainer::run() {
  const auto finish = [&](const std::string& status) {
    if (!is_root()) return;
    if (reducer_ && experiment_.device().is_cpu()) summary_.set_reduction(reducer_->counters());
    const auto json = summary_.to_json(status);
    write_json(directory_.summary(), json);
    for (const auto& observer : observers_) observer->on_end(json);
  };
  try {
    if (is_root()) write_json(directory_.summary(), summary_.to_json("running"));
    int stopped = train();
    const bool paused = stopped == 0 && place_.epoch < experiment_.config().train.epochs;
    if (paused) {
      spdlog::info("paused after epoch {} of {} (train.stop_after_epoch)", place_.epoch,
                   experiment_.config().train.epochs);
      finish("paused");
      return 0;
    }
    if (stopped == 0) stopped = test();
    finish(stopped == 0 ? "complete" : "interrupted");
    return stopped;
  } catch (...) {
    try {
      finish("failed");
    } catch (const std::exception& error) {
      spdlog::error("{}", error.what());
    }
    throw;
  }
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
  source_->start_epoch(place_.epoch);
  rates_ = learning_rates(config.schedule, config.optimizer.lr, place_.epoch, steps_per_epoch_,
                          config.train.epochs);
  step_->start_epoch(rates_, place_.epoch * steps_per_epoch_, place_.step_in_epoch, batch);
  if (place_.step_in_epoch == 0) metrics_.reset();
  model_->train();

  EpochClock clock(config.train.log_interval, StatusLine::available());
  const auto account = [&] {
    synchronize(experiment_.device());
    const auto [seconds, images] = clock.take();
    summary_.add_train_seconds(seconds, images);
  };
  while (place_.step_in_epoch < steps_per_epoch_) {
    const auto size = batch_size_of(place_.step_in_epoch);
    step_->run(size);
    ++place_.step_in_epoch;
    ++place_.step;
    clock.add_step(size);

    const bool last = place_.step_in_epoch == steps_per_epoch_;
    if (clock.report_due() && !last && is_root()) report_progress(clock.rate());
    const bool stop = stop_agreed();
    const auto interval = config.train.checkpoint_interval;
    if (stop || (interval > 0 && place_.step % interval == 0 && !last)) {
      account();
      check_finite(metrics_.collect(*ranks_));
      save(/*best=*/false);
      if (stop) return stop_;
      clock.restart();  // saving is not training
    }
  }
  account();
  check_finite(metrics_.collect(*ranks_));
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
  const auto values = metrics_.value();
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
  if (is_root()) write_json(directory_.summary(), summary_.to_json("running"));
  stop_ = ranks_->agree(std::max(stop_, StopSignals::received()));
  return stop_;
}

int Trainer::test() {
  if (experiment_.splits().test.empty()) return 0;
  std::optional<Evaluation> evaluation;
  for (const std::string checkpoint : {"last", "best"}) {
    // Where the last epoch is the best, its images are not run twice.
    const bool same = is_root() && is_same_checkpoint(directory_, "last", "best");
    if (!evaluation || ranks_->agree(same ? 1 : 0) == 0) {
      if (is_root()) load_checkpoint_model(directory_, checkpoint, *model_);
      evaluation = evaluate_split(Split::test, /*predictions=*/true);
    }
    if (!evaluation) return stop_;
    const auto& metrics = evaluation->metrics;
    if (checkpoint == "last") summary_.set_last_test(metrics.accuracy);
    if (checkpoint == "best") summary_.set_best_test(metrics.accuracy, metrics.loss);
    if (!is_root()) continue;
    save_predictions(directory_.predictions(checkpoint, "test"), *evaluation);
    spdlog::info("test, checkpoint {}: loss {:.4f}  accuracy {:.2f} % of {} images", checkpoint,
                 metrics.loss, 100.0 * metrics.accuracy, metrics.count);
  }
  return 0;
}

std::optional<Evaluation> Trainer::evaluate_split(Split split, bool predictions) {
  // BatchNorm's running statistics are each rank's own until here.
  share_model();
  const auto source = experiment_.source(split, Order::ascending, experiment_.test_pipeline());
  auto options = experiment_.evaluation_options(ranks_->size());
  options.predictions = predictions;
  options.ranks = ranks_.get();
  options.interrupted = [this] { return stop_agreed(); };
  return evaluate(*model_, *source, experiment_.test_pipeline(), options);
}

void Trainer::report_progress(double rate) {
  const auto values = metrics_.value();
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
  for (const auto& [name, tensor] : model_tensors(*model_)) {
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
}

}  // namespace xception
