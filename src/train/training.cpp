#include "xception/train/training.h"

#include <string>
#include <utility>
#include <vector>

#include "xception/models/freeze.h"
#include "xception/train/checkpoint.h"
#include "xception/train/generators.h"

namespace xception {
namespace {

StepOptions step_options(const RunConfig& config, const Precision& precision,
                         const Communicator& ranks, const torch::Tensor& class_weights) {
  return {.precision = precision,
          .accumulate = config.train.accumulate,
          .loss = {.label_smoothing = config.train.label_smoothing,
                   .aux_weight = config.model.aux_weight.value_or(0.0),
                   .class_weights = class_weights},
          .clip_norm = config.optimizer.clip_norm,
          .rank = ranks.rank(),
          .ranks = ranks.size()};
}

/// What each class counts in the loss: float32 (classes) on the device; undefined: all alike. A
/// class without images, which only label smoothing asks for, counts 1.
torch::Tensor class_weights(const Experiment& experiment) {
  if (experiment.config().train.class_weights == "none") return {};
  const auto counts = experiment.class_counts().to(torch::kFloat64);
  const auto share = counts.sum() / static_cast<double>(counts.numel());
  const auto weights =
      torch::where(counts > 0, share / counts.clamp_min(1.0), torch::ones_like(counts));
  return weights.to(torch::TensorOptions(experiment.device()).dtype(torch::kFloat32));
}

std::shared_ptr<Classifier> build_trained_model(const Experiment& experiment,
                                                const Precision& precision) {
  auto model = experiment.build_model(precision);
  freeze(*model, experiment.config().train.freeze);
  return model;
}

/// Frozen ones too, which a file of the averages has as they are.
NamedParameters all_parameters(const Classifier& model) {
  NamedParameters all;
  for (const auto& item : model.named_parameters()) all.emplace_back(item.key(), item.value());
  return all;
}

/// The buffers that can be averaged: not the counts of batches.
NamedParameters running_statistics(const Classifier& model) {
  NamedParameters all;
  for (const auto& item : model.named_buffers()) {
    if (item.value().is_floating_point()) all.emplace_back(item.key(), item.value());
  }
  return all;
}

/// Gradients that are added up, over parts of a batch or over ranks, or measured, are float32's.
bool can_use_low_precision_weights(const Experiment& experiment, const Precision& precision,
                                   const Communicator& ranks) {
  const auto& config = experiment.config();
  return precision.autocast && experiment.kernels() == Kernels::fused && ranks.is_alone() &&
         config.train.accumulate == 1 && config.optimizer.clip_norm == 0.0;
}

}  // namespace

Training::Training(const Experiment& experiment, std::shared_ptr<Communicator> communicator)
    : ranks(std::move(communicator)),
      precision(parse_precision(experiment.config().train.precision)),
      model(build_trained_model(experiment, precision)),
      loader(experiment.training_loader()),
      optimizer(build_optimizer(experiment.config().optimizer, named_parameters(*model))),
      scaler(precision.scaled, experiment.device()),
      metrics(experiment.device()) {
  const auto& config = experiment.config();
  if (!ranks->is_alone()) {
    share_model();
    const auto megabyte = static_cast<double>(1 << 20);
    reducer = std::make_unique<GradientReducer>(
        ranks, named_parameters(*model),
        ReducerOptions{
            .bucket_bytes = static_cast<std::int64_t>(config.parallel.bucket_mb * megabyte),
            .find_unused_parameters = config.parallel.find_unused_parameters});
    if (config.parallel.batch_norm == "sync") {
      statistics = std::make_shared<StatisticsSync>(StatisticsSync{.ranks = ranks});
      synchronize_batch_norm(*model, statistics);
    }
    // After the initial weights, which rank 0 draws as a process alone does.
    if (!ranks->is_root()) {
      seed_generators(static_cast<std::uint64_t>(config.seed), ranks->rank());
    }
  }
  if (can_use_low_precision_weights(experiment, precision, *ranks)) {
    low_precision = std::make_unique<LowPrecisionWeights>(*model, precision.autocast_dtype);
    std::vector<torch::Tensor> copies;
    for (const auto& [name, parameter] : named_parameters(*model)) {
      copies.push_back(low_precision->of(parameter));
    }
    optimizer->use_copies(std::move(copies));
  }
  average = build_average(config.average, all_parameters(*model), running_statistics(*model));
  StepHooks hooks;
  if (config.mix.is_on()) {
    hooks.on_batch.push_back(make_mix(config.mix, config.model.num_classes, experiment.device()));
  }
  if (average) hooks.after_update.emplace_back([of = average.get()] { of->after_step(); });
  step = std::make_unique<TrainStep>(
      StepParts{.model = *model,
                .loader = *loader,
                .optimizer = *optimizer,
                .scaler = scaler,
                .metrics = metrics,
                .reducer = reducer.get(),
                .statistics = statistics.get(),
                .low_precision = low_precision.get(),
                .hooks = std::move(hooks)},
      step_options(config, precision, *ranks, class_weights(experiment)), experiment.device());
  if (experiment.execution().graph) step->use_graph();
}

std::vector<Stateful*> Training::states() {
  std::vector<Stateful*> all = {optimizer.get(), &scaler, &metrics};
  if (reducer) all.push_back(reducer.get());
  if (average) all.push_back(average.get());
  return all;
}

void Training::share_model() {
  std::vector<torch::Tensor> tensors;
  for (const auto& [name, tensor] : model_tensors(*model)) tensors.push_back(tensor);
  ranks->broadcast(tensors);
}

}  // namespace xception
