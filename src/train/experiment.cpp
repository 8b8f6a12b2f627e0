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

const RunConfig& resolved(RunConfig& config, const Dataset& dataset) {
  resolve_classes(config, dataset);
  return config;
}

}  // namespace

void resolve_classes(RunConfig& config, const Dataset& dataset) {
  auto& classes = config.model.num_classes;
  if (!config.given.contains("model.num_classes")) classes = dataset.num_classes();
  if (classes == dataset.num_classes()) return;
  throw input_error(
      "config",
      "model.num_classes: found {}, but {} has {} classes; expected the same, or leave "
      "the key out",
      classes, dataset.folder.string(), dataset.num_classes());
}

PixelSteps pixel_steps(Kernels kernels) {
  return kernels == Kernels::reference ? PixelSteps::reference : PixelSteps::fused;
}

void apply_runtime_settings(const RunConfig& config, const RankInfo& place) {
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
      splits_(split_dataset(dataset_, resolved(config_, dataset_).data,
                            static_cast<std::uint64_t>(config_.seed))),
      execution_(plan(config_, device)) {
  check_transforms(config_, dataset_);
  if (execution_.graph && !dataset_.images->pixels(Split::train).defined()) {
    execution_.graph = false;
    execution_.graph_reason = "images are read from files during training";
  }
}

std::shared_ptr<Classifier> Experiment::build_model(const Precision& precision) const {
  auto model = xception::build_model(config_.model);
  place_model(*model, device_, precision.parameters, config_.train.channels_last);
  use_kernels(*model, execution_.kernels);
  return model;
}

torch::Tensor Experiment::class_counts() const {
  auto counts = torch::zeros({dataset_.num_classes()}, torch::kInt64);
  auto* count = counts.mutable_data_ptr<std::int64_t>();
  for (const auto index : splits_.train) ++count[dataset_.images->label(Split::train, index)];
  return counts;
}

LoaderOptions Experiment::training_options() const {
  const auto precision = parse_precision(config_.train.precision);
  return {.indices = splits_.train,
          .order = Order::shuffled,
          .transforms = TransformList::train,
          .dtype = precision.images(precision.parameters),
          .channels_last = config_.train.channels_last,
          .steps = pixel_steps(execution_.kernels)};
}

std::unique_ptr<Loader> Experiment::training_loader() const {
  auto options = training_options();
  options.progressive = true;
  return make_loader(dataset_, config_, options, device_);
}

std::unique_ptr<Loader> Experiment::first_training_images(std::int64_t count) const {
  auto options = training_options();
  options.order = Order::ascending;
  if (count < std::ssize(options.indices)) options.indices.resize(static_cast<std::size_t>(count));
  return make_loader(dataset_, config_, options, device_);
}

std::unique_ptr<Loader> Experiment::evaluation_loader(Split split) const {
  const auto weights = parse_precision(config_.train.precision).parameters;
  return make_loader(dataset_, config_,
                     {.split = split,
                      .indices = splits_.of(split),
                      .dtype = parse_precision(config_.train.eval_precision).images(weights),
                      .channels_last = config_.train.channels_last,
                      .steps = pixel_steps(execution_.kernels)},
                     device_);
}

EvaluationOptions Experiment::evaluation_options(int ranks) const {
  const auto& train = config_.train;
  const auto share = std::max<std::int64_t>(1, train.batch_size / ranks);
  return {.precision = parse_precision(train.eval_precision),
          .batch_size = train.eval_batch_size > 0 ? train.eval_batch_size : share,
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
