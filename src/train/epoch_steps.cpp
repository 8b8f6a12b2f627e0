#include "xception/train/epoch_steps.h"

#include <algorithm>
#include <cmath>

#include "xception/core/error.h"

namespace xception {

std::int64_t batch_size_of(const TrainConfig& config, std::int64_t epoch) {
  if (config.batch_size_step_epochs == 0) return config.batch_size;
  constexpr double kNoLimit = 1e6;  // of train.batch_size's range
  const auto limit =
      config.batch_size_max > 0 ? static_cast<double>(config.batch_size_max) : kNoLimit;
  const auto growths = static_cast<double>(epoch / config.batch_size_step_epochs);
  const double size =
      static_cast<double>(config.batch_size) * std::pow(config.batch_size_gamma, growths);
  return static_cast<std::int64_t>(std::floor(std::min(size, limit)));
}

std::vector<std::int64_t> batch_sizes(const TrainConfig& config) {
  if (config.batch_size_step_epochs == 0) return {config.batch_size};
  std::vector<std::int64_t> sizes;
  for (std::int64_t epoch = 0; epoch < config.epochs; ++epoch) {
    const auto size = batch_size_of(config, epoch);
    if (sizes.empty() || sizes.back() != size) sizes.push_back(size);
  }
  return sizes;
}

std::int64_t EpochSteps::size_of(std::int64_t step) const {
  return std::min(batch, images - step * batch);
}

EpochSteps divide_epoch(const RunConfig& config, std::int64_t images, std::int64_t epoch) {
  EpochSteps steps{.batch = batch_size_of(config.train, epoch), .images = images};
  const auto rest = images % steps.batch;
  if (rest != 0 && config.data.drop_last) {
    steps.images -= rest;
    steps.dropped = fmt::format("{} images left over (data.drop_last)", rest);
  } else if (rest == 1) {
    steps.images -= rest;
    steps.dropped = "1 image left over (BatchNorm needs more than one in a batch)";
  }
  if (steps.images == 0) {
    const bool grown = steps.batch != config.train.batch_size;
    throw input_error("config",
                      "{}: {} {} for {} training images, which leaves no step; lower it or set "
                      "data.drop_last=false",
                      grown ? "train.batch_size_max" : "train.batch_size",
                      grown ? "batches grow to" : "found", steps.batch, images);
  }
  steps.count = (steps.images + steps.batch - 1) / steps.batch;
  return steps;
}

WorkLeft work_left(const RunConfig& config, std::int64_t images, std::int64_t epoch) {
  if (config.train.batch_size_step_epochs == 0) {
    const auto steps = divide_epoch(config, images, epoch);
    const auto epochs = config.train.epochs - epoch;
    return {.steps = epochs * steps.count, .images = epochs * steps.images};
  }
  WorkLeft left;
  for (; epoch < config.train.epochs; ++epoch) {
    const auto steps = divide_epoch(config, images, epoch);
    left.steps += steps.count;
    left.images += steps.images;
  }
  return left;
}

}  // namespace xception
