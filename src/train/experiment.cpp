#include "xception/train/experiment.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <c10/core/MemoryFormat.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "xception/core/error.h"
#include "xception/core/paths.h"
#include "xception/models/registry.h"
#include "xception/train/generators.h"

namespace xception {
namespace {

Size image_size_of(const Dataset& dataset) {
  return {dataset.train.images.size(2), dataset.train.images.size(3)};
}

const RunConfig& checked(const RunConfig& config, const Dataset& dataset) {
  if (config.model.num_classes != dataset.num_classes()) {
    throw input_error("config",
                      "model.num_classes: found {}, but {} has {} classes; expected the "
                      "same",
                      config.model.num_classes, dataset.folder.string(), dataset.num_classes());
  }
  return config;
}

}  // namespace

PixelSteps pixel_steps(Kernels kernels) {
  return kernels == Kernels::reference ? PixelSteps::reference : PixelSteps::fused;
}

void apply_runtime_settings(const RunConfig& config, const RankPlace& place) {
  const auto threads =
      config.parallel.threads > 0 ? static_cast<int>(config.parallel.threads) : rank_threads(place);
  if (threads > 0) at::set_num_threads(threads);
  auto& context = at::globalContext();
  const bool deterministic = config.train.deterministic;
  if (deterministic) {
    // cuBLAS reads it when it starts.
    ::setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0);
    // NCCL when it connects the GPUs, which is later: sums inside a switch come in any order.
    ::setenv("NCCL_ALGO", "^NVLS,NVLSTree", /*overwrite=*/0);
  }
  context.setDeterministicAlgorithms(deterministic, /*warn_only=*/false);
  // Tensors that an operation leaves empty are its own affair; filling them costs a pass each.
  context.setDeterministicFillUninitializedMemory(false);
  context.setDeterministicCuDNN(deterministic);
  context.setBenchmarkCuDNN(config.train.cudnn_benchmark && !deterministic);
  seed_generators(static_cast<std::uint64_t>(config.seed));
}

Experiment::Experiment(RunConfig config, const torch::Device& device, const ExecutionPlanner& plan)
    : Experiment(config, load_dataset(config.data), device, plan) {
  // A run directory finds its data from any working directory.
  config_.data.dir = text_of_path(std::filesystem::absolute(dataset_.folder).lexically_normal());
}

Experiment::Experiment(RunConfig config, Dataset dataset, const torch::Device& device,
                       const ExecutionPlanner& plan)
    : config_(std::move(config)),
      device_(device),
      dataset_(std::move(dataset)),
      splits_(split_dataset(dataset_, checked(config_, dataset_).data,
                            static_cast<std::uint64_t>(config_.seed))),
      execution_(plan(config_, device)),
      train_pipeline_(config_.augment.train, "augment.train", config_.augment,
                      config_.data.image_size, image_size_of(dataset_), device,
                      pixel_steps(execution_.kernels)),
      test_pipeline_(config_.augment.test, "augment.test", config_.augment, config_.data.image_size,
                     image_size_of(dataset_), device, pixel_steps(execution_.kernels)) {}

std::shared_ptr<Classifier> Experiment::build_model(const Precision& precision) const {
  auto model = xception::build_model(config_.model);
  place_model(*model, device_, precision.parameters, config_.train.channels_last);
  use_kernels(*model, execution_.kernels);
  return model;
}

std::unique_ptr<BatchSource> Experiment::source(Split split, Order order,
                                                const Pipeline& pipeline) const {
  const auto& indices = splits_.of(split);
  if (indices.empty()) {
    throw input_error("data", "the {} split of {} is empty; expected at least one image",
                      split_name(split), dataset_.folder.string());
  }
  return std::make_unique<ResidentSource>(split == Split::test ? dataset_.test : dataset_.train,
                                          indices, order, static_cast<std::uint64_t>(config_.seed),
                                          pipeline, device_);
}

EvaluationOptions Experiment::evaluation_options(int ranks) const {
  const auto& train = config_.train;
  const auto share = std::max<std::int64_t>(1, train.batch_size / ranks);
  return {.precision = parse_precision(train.eval_precision),
          .batch_size = train.eval_batch_size > 0 ? train.eval_batch_size : share,
          .channels_last = train.channels_last,
          .fold_batch_norm = train.eval_fold_batch_norm};
}

void place_model(Classifier& model, const torch::Device& device, torch::ScalarType dtype,
                 bool channels_last) {
  const torch::NoGradGuard no_grad;
  model.to(device);
  // Not Module::to(dtype), which would also convert BatchNorm's int64 batch counts.
  const auto convert = [&](torch::Tensor& tensor) {
    if (tensor.is_floating_point()) tensor.set_data(tensor.to(dtype));
  };
  for (auto& parameter : model.parameters()) convert(parameter);
  for (auto& buffer : model.buffers()) convert(buffer);
  if (!channels_last) return;
  // Module::to knows no memory format; a parameter keeps this one through copies and updates.
  for (auto& parameter : model.parameters()) {
    if (parameter.dim() != 4) continue;
    // Not contiguous(ChannelsLast), which leaves the strides of 1x1 kernels as they are, because
    // both formats fit; gradients come with the strides that are written here.
    const auto strides = c10::get_channels_last_strides_2d(parameter.sizes());
    auto placed = torch::empty_strided(parameter.sizes(), strides, parameter.options());
    parameter.set_data(placed.copy_(parameter));
  }
}

}  // namespace xception
