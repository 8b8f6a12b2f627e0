#pragma once

#include <torch/types.h>

#include <memory>

#include "xception/data/loader.h"
#include "xception/models/classifier.h"
#include "xception/parallel/rank_info.h"
#include "xception/train/evaluator.h"
#include "xception/train/execution.h"
#include "xception/train/precision.h"
#include "xception/train/run_config.h"

namespace xception {

/// What a choice of kernels means for the pixels of a pipeline.
[[nodiscard]] PixelSteps pixel_steps(Kernels kernels);

/// Sets what LibTorch keeps globally: threads (where the config leaves them open, the rank's part
/// of the machine's), deterministic algorithms, cuDNN's benchmark, the generators' seed. Called
/// once, before a model is built.
void apply_runtime_settings(const RunConfig& config, const RankInfo& place = {});

/// Takes the number of classes from the data set, unless the config was given it. Errors (input):
/// it was given another.
void resolve_classes(RunConfig& config, const Dataset& dataset);

/// Data set, loaders and model of a run, on their device: what training, evaluation and prediction
/// have in common.
class Experiment {
 public:
  /// `config` must be resolved (resolve_model). Reads the data set, which gives the number of
  /// classes unless the config does, and checks that number and both lists of transforms. plan:
  /// asked between the two how steps are computed. Errors (input).
  Experiment(RunConfig config, const torch::Device& device,
             const ExecutionPlanner& plan = plan_evaluation);

  /// The same with a data set that is already in memory, whatever the config says of its place.
  Experiment(RunConfig config, Dataset dataset, const torch::Device& device,
             const ExecutionPlanner& plan = plan_evaluation);

  /// The model on the device, in the memory format of the config. `precision` decides the dtype of
  /// its weights.
  [[nodiscard]] std::shared_ptr<Classifier> build_model(const Precision& precision) const;

  /// How often each class occurs among the training images: int64 (classes), CPU.
  [[nodiscard]] torch::Tensor class_counts() const;

  /// The training images, shuffled and augmented, of the size of each epoch, as `train.precision`
  /// computes with them. Errors (input): there are none.
  [[nodiscard]] std::unique_ptr<Loader> training_loader() const;

  /// The first training images, at most so many, in ascending order, augmented as in training, of
  /// `data.image_size` in every epoch.
  [[nodiscard]] std::unique_ptr<Loader> first_training_images(std::int64_t count) const;

  /// A split, ascending, through `augment.test`, as `train.eval_precision` computes with it on
  /// weights of `train.precision`. Errors (input): it is empty.
  [[nodiscard]] std::unique_ptr<Loader> evaluation_loader(Split split) const;

  [[nodiscard]] const RunConfig& config() const { return config_; }
  [[nodiscard]] const torch::Device& device() const { return device_; }
  [[nodiscard]] const Execution& execution() const { return execution_; }
  [[nodiscard]] Kernels kernels() const { return execution_.kernels; }
  [[nodiscard]] const Dataset& dataset() const { return dataset_; }
  [[nodiscard]] const SplitIndices& splits() const { return splits_; }
  /// How the config wants evaluations done, by so many ranks.
  [[nodiscard]] EvaluationOptions evaluation_options(int ranks = 1) const;

 private:
  [[nodiscard]] LoaderOptions training_options() const;

  RunConfig config_;
  torch::Device device_;
  Dataset dataset_;
  SplitIndices splits_;
  Execution execution_;
};

/// Moves a model to its device, dtype and memory format.
void place_model(Classifier& model, const torch::Device& device, torch::ScalarType dtype,
                 bool channels_last);

}  // namespace xception
