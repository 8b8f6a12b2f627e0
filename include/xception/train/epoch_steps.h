#pragma once

#include <cstdint>
#include <string>

#include "xception/train/run_config.h"

namespace xception {

/// How an epoch's images are divided into steps.
struct EpochSteps {
  std::int64_t batch = 0;    ///< images of a step; the last may have fewer
  std::int64_t images = 0;   ///< that steps use
  std::int64_t count = 0;    ///< steps
  std::string dropped = {};  ///< images at the end that no step uses, and why; empty: none

  /// Images of a step, counted from 0.
  [[nodiscard]] std::int64_t size_of(std::int64_t step) const;
};

/// From train.batch_size and data.drop_last. images: of the training subset. A last batch of one
/// image is left out in any case. Errors (input): no step is left.
[[nodiscard]] EpochSteps divide_epoch(const RunConfig& config, std::int64_t images);

}  // namespace xception
