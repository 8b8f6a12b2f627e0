#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "xception/data/loader.h"

namespace xception {

/// The order of each epoch of a loader, a pure function of (seed, epoch), the same for every kind
/// of loader, number of ranks and threads.
///
/// Where the catalog's images come in groups (shards) that are quick to read one after another, and
/// there are more images than `data.shuffle_window`, the groups are permuted, and then the images
/// within windows of so many: what a window holds lies in a few files, one beside the other. Other
/// epochs are permuted as a whole.
class EpochOrder {
 public:
  EpochOrder(const Dataset& dataset, const InputConfig& config, const LoaderOptions& options);

  /// The images of an epoch, int64 (n) on the CPU: places in `options.indices`.
  [[nodiscard]] torch::Tensor of(std::int64_t epoch) const;

 private:
  /// The places, group by group in this epoch's order of groups.
  [[nodiscard]] std::vector<std::int64_t> grouped(std::int64_t epoch) const;

  std::int64_t size_;
  Order order_;
  std::uint64_t seed_;
  std::int64_t window_;
  std::vector<std::int64_t> starts_;  ///< the first place of each group, and n; empty: no groups
};

}  // namespace xception
