#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "xception/train/run_config.h"

namespace xception {

/// Images of an optimizer step in an epoch (counted from 0), over all ranks: train.batch_size,
/// times train.batch_size_gamma for each batch_size_step_epochs epochs before it, rounded down, up
/// to batch_size_max. Where torch.optim.lr_scheduler.StepLR lowers the learning rate, this raises
/// what one step averages over (Smith et al., arXiv 1711.00489).
[[nodiscard]] std::int64_t batch_size_of(const TrainConfig& config, std::int64_t epoch);

/// The sizes of a run's steps, in the order of its epochs, each once.
[[nodiscard]] std::vector<std::int64_t> batch_sizes(const TrainConfig& config);

/// How an epoch's images are divided into steps.
struct EpochSteps {
  std::int64_t batch = 0;    ///< images of a step; the last may have fewer
  std::int64_t images = 0;   ///< that steps use
  std::int64_t count = 0;    ///< steps
  std::string dropped = {};  ///< images at the end that no step uses, and why; empty: none

  /// Images of a step, counted from 0.
  [[nodiscard]] std::int64_t size_of(std::int64_t step) const;
};

/// An epoch (counted from 0) by its batch size and data.drop_last. images: of the training subset.
/// A last batch of one image is left out in any case. Errors (input): no step is left.
[[nodiscard]] EpochSteps divide_epoch(const RunConfig& config, std::int64_t images,
                                      std::int64_t epoch);

/// What is left to do from the beginning of an epoch (counted from 0) to the run's end.
struct WorkLeft {
  std::int64_t steps = 0;
  std::int64_t images = 0;
};
/// images: of the training subset. Errors: as divide_epoch's.
[[nodiscard]] WorkLeft work_left(const RunConfig& config, std::int64_t images, std::int64_t epoch);

}  // namespace xception
