#include "xception/train/epoch_steps.h"

#include <algorithm>

#include "xception/core/error.h"

namespace xception {

std::int64_t EpochSteps::size_of(std::int64_t step) const {
  return std::min(batch, images - step * batch);
}

EpochSteps divide_epoch(const RunConfig& config, std::int64_t images) {
  EpochSteps steps{.batch = config.train.batch_size, .images = images};
  const auto rest = images % steps.batch;
  if (rest != 0 && config.data.drop_last) {
    steps.images -= rest;
    steps.dropped = fmt::format("{} images left over (data.drop_last)", rest);
  } else if (rest == 1) {
    steps.images -= rest;
    steps.dropped = "1 image left over (BatchNorm needs more than one in a batch)";
  }
  if (steps.images == 0) {
    throw input_error("config",
                      "train.batch_size: found {} for {} training images, which leaves no "
                      "step; lower it or set data.drop_last=false",
                      steps.batch, images);
  }
  steps.count = (steps.images + steps.batch - 1) / steps.batch;
  return steps;
}

}  // namespace xception
