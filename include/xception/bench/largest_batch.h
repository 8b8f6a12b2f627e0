#pragma once

#include <cstdint>
#include <functional>
#include <vector>

namespace xception {

/// Where to look for the largest batch.
struct BatchSearch {
  std::int64_t first = 2;        ///< tried first; BatchNorm needs 2
  std::int64_t limit = 1024;     ///< tried last
  std::int64_t granularity = 8;  ///< how near to the first that doesn't fit the search goes
};

/// The largest batch for which `fits` holds: doubles from `first`, then halves the gap between what
/// fits and what doesn't until it is at most `granularity`, or until a multiple of it no longer
/// lies between the two. `fits` is asked at most once a batch, and is taken to hold below what
/// fits. 0 if `first` doesn't fit.
[[nodiscard]] std::int64_t find_largest_batch(const BatchSearch& search,
                                              const std::function<bool(std::int64_t)>& fits);

/// The memory that a step of a batch took.
struct BatchMemory {
  std::int64_t batch = 0;
  std::int64_t bytes = 0;
};

/// What a larger batch will take: the straight line through the two largest measurements, or, with
/// one, its bytes an image. measured: ascending by batch, not empty. Never less than the last.
[[nodiscard]] std::int64_t predict_memory(const std::vector<BatchMemory>& measured,
                                          std::int64_t batch);

}  // namespace xception
