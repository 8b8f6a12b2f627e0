#include "xception/bench/workload.h"

#include <ATen/CPUGeneratorImpl.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "xception/core/error.h"
#include "xception/core/signals.h"
#include "xception/optim/schedule.h"
#include "xception/train/evaluator.h"
#include "xception/train/experiment.h"
#include "xception/train/generators.h"
#include "xception/train/training.h"

namespace xception {
namespace {

/// A place in an epoch, in images.
class EpochPlace {
 public:
  /// Where a batch begins; from the start again if the epoch has no room for it.
  std::int64_t take(std::int64_t batch, std::int64_t images) {
    if (used_ + batch > images) used_ = 0;
    const auto first = used_;
    used_ += batch;
    return first;
  }
  void restart() { used_ = 0; }
  [[nodiscard]] std::int64_t used() const { return used_; }

 private:
  std::int64_t used_ = 0;
};

/// Errors (input): the loader has fewer images than a batch.
void check_images(const Loader& loader, std::int64_t batch, const Dataset& dataset) {
  if (loader.size() >= batch) return;
  throw input_error("bench",
                    "--batch-size {}: found {} images in the split of {}; give at most that", batch,
                    loader.size(), dataset.name);
}

/// Calls `step` so often, but no longer after a stop signal. Returns how often.
template <class Step>
std::int64_t repeat(std::int64_t steps, Step step) {
  for (std::int64_t i = 0; i < steps; ++i) {
    if (StopSignals::received() != 0) return i;
    step();
  }
  return steps;
}

class TrainWorkload : public Workload {
 public:
  TrainWorkload(const RunConfig& config, const Dataset& dataset, const torch::Device& device)
      : ranks_(Communicator::alone()),
        experiment_(config, dataset, device,
                    [this](const RunConfig& of, const torch::Device& on) {
                      return plan_training(of, on, *ranks_);
                    }),
        training_(experiment_, ranks_) {
    check_images(*training_.loader, config.train.batch_size, dataset);
    training_.model->train();
    start_epoch(0);
  }

  std::int64_t run(std::int64_t steps, std::int64_t batch, StepProbe* probe) override {
    return repeat(steps, [&] {
      const bool full = steps_ == static_cast<std::int64_t>(rates_.size());
      // A graph is one of a size of batch.
      if (full || batch != batch_ || place_.take(batch, training_.loader->size()) == 0) {
        rewind(batch);
      }
      ++steps_;
      training_.step->run(batch, probe);
    });
  }

  void prepare(std::int64_t images) override {
    const auto left = training_.loader->size() - place_.used();
    if (place_.used() > 0 && left < images) start_epoch(epoch_ + 1);
  }

  Complexity complexity() override {
    return count_complexity(*training_.model, experiment_.config().data.image_size);
  }

  [[nodiscard]] Execution execution() const override {
    auto execution = experiment_.execution();
    if (const auto* graph = training_.step->graph(); graph != nullptr) {
      execution.graph = graph->is_recorded();
      execution.graph_reason = graph->obstacle();
      if (!execution.graph && execution.graph_reason.empty()) {
        execution.graph_reason = "too few steps: a recording comes after three";
      }
    }
    return execution;
  }

  [[nodiscard]] const Classifier* model() const override { return training_.model.get(); }

 private:
  /// Draws an epoch's order and random numbers, as the trainer does before its steps.
  void start_epoch(std::int64_t epoch) {
    const auto& config = experiment_.config();
    epoch_ = epoch;
    training_.loader->start_epoch(epoch);
    const auto per_epoch =
        std::max<std::int64_t>(1, training_.loader->size() / config.train.batch_size);
    rates_ = learning_rates(config.schedule, config.optimizer.lr, epoch % config.train.epochs,
                            per_epoch, config.train.epochs);
    place_.restart();
    steps_ = 0;
  }

  /// To the beginning of the current epoch.
  void rewind(std::int64_t batch) {
    const auto first = epoch_ * static_cast<std::int64_t>(rates_.size());
    training_.step->start_epoch(rates_, first, 0, batch);
    batch_ = batch;
    place_.restart();
    place_.take(batch, training_.loader->size());
    steps_ = 0;
  }

  std::shared_ptr<Communicator> ranks_;
  Experiment experiment_;
  Training training_;
  std::vector<double> rates_;
  EpochPlace place_;
  std::int64_t epoch_ = 0;
  std::int64_t steps_ = 0;  ///< of the epoch
  std::int64_t batch_ = 0;  ///< of the latest step
};

class InferenceWorkload : public Workload {
 public:
  InferenceWorkload(const RunConfig& config, const Dataset& dataset, const torch::Device& device)
      : experiment_(config, dataset, device),
        model_(experiment_.build_model(parse_precision(config.train.precision))),
        loader_(experiment_.evaluation_loader(Split::test)) {
    check_images(*loader_, experiment_.evaluation_options().batch_size, dataset);
    loader_->start_epoch(0);
  }

  std::int64_t run(std::int64_t steps, std::int64_t batch, StepProbe* probe) override {
    BatchEvaluator evaluator(*model_, *loader_, experiment_.evaluation_options());
    return repeat(steps, [&] {
      if (place_.take(batch, loader_->size()) == 0) loader_->seek(0);
      (void)evaluator.run(batch, probe);
    });
  }

  void prepare(std::int64_t /*images*/) override {}

  Complexity complexity() override {
    return count_complexity(*model_, experiment_.config().data.image_size);
  }

  [[nodiscard]] Execution execution() const override { return experiment_.execution(); }
  [[nodiscard]] const Classifier* model() const override { return model_.get(); }

 private:
  Experiment experiment_;
  std::shared_ptr<Classifier> model_;
  std::unique_ptr<Loader> loader_;
  EpochPlace place_;
};

class DataWorkload : public Workload {
 public:
  DataWorkload(const RunConfig& config, const Dataset& dataset, const torch::Device& device)
      : experiment_(config, dataset, device), loader_(experiment_.training_loader()) {
    check_images(*loader_, config.train.batch_size, dataset);
    loader_->start_epoch(0);
  }

  std::int64_t run(std::int64_t steps, std::int64_t batch, StepProbe* probe) override {
    return repeat(steps, [&] {
      if (place_.take(batch, loader_->size()) == 0) loader_->seek(0);
      mark_phase(probe, StepPhase::start);
      (void)loader_->next(batch);
      mark_phase(probe, StepPhase::data);
    });
  }

  void prepare(std::int64_t images) override {
    if (place_.used() == 0 || loader_->size() - place_.used() >= images) return;
    loader_->start_epoch(++epoch_);
    place_.restart();
  }

  Complexity complexity() override { return {}; }
  [[nodiscard]] Execution execution() const override { return experiment_.execution(); }
  [[nodiscard]] const Classifier* model() const override { return nullptr; }

 private:
  Experiment experiment_;
  std::unique_ptr<Loader> loader_;
  EpochPlace place_;
  std::int64_t epoch_ = 0;
};

}  // namespace

BenchMode parse_bench_mode(const std::string& name) {
  for (const auto mode : {BenchMode::train, BenchMode::inference, BenchMode::data}) {
    if (name == bench_mode_name(mode)) return mode;
  }
  throw input_error("bench", "--mode {}: expected train, inference or data", name);
}

const char* bench_mode_name(BenchMode mode) {
  switch (mode) {
    case BenchMode::train:
      return "train";
    case BenchMode::inference:
      return "inference";
    case BenchMode::data:
      break;
  }
  return "data";
}

Dataset random_dataset(std::int64_t images, std::int64_t classes) {
  auto generator = at::make_generator<at::CPUGeneratorImpl>(std::uint64_t{1});
  ImageSet set;
  set.images = torch::randint(0, 256, {images, 3, 32, 32}, generator,
                              torch::TensorOptions().dtype(torch::kUInt8));
  set.labels =
      torch::randint(0, classes, {images}, generator, torch::TensorOptions().dtype(torch::kInt64));
  Dataset dataset{.images = in_memory(set, set), .name = "random images"};
  for (std::int64_t i = 0; i < classes; ++i) dataset.class_names.push_back(std::to_string(i));
  return dataset;
}

std::unique_ptr<Workload> build_workload(BenchMode mode, const RunConfig& config,
                                         const Dataset& dataset, const torch::Device& device) {
  seed_generators(static_cast<std::uint64_t>(config.seed));
  switch (mode) {
    case BenchMode::train:
      return std::make_unique<TrainWorkload>(config, dataset, device);
    case BenchMode::inference:
      return std::make_unique<InferenceWorkload>(config, dataset, device);
    case BenchMode::data:
      break;
  }
  return std::make_unique<DataWorkload>(config, dataset, device);
}

}  // namespace xception
