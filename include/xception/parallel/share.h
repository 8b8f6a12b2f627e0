#pragma once

#include <cstdint>

namespace xception {

/// A rank's part of a row of items: `count` of them from `first` on.
struct Share {
  std::int64_t first = 0;
  std::int64_t count = 0;
};

/// A rank's share of a batch: neighboring images, as equal as can be, the first ranks one more. No
/// rank gets one image alone where two can stay together, because BatchNorm can't normalize one;
/// the last ranks then get none.
[[nodiscard]] Share share_of_batch(std::int64_t batch_size, int rank, int size);

/// The fewest images that a rank whose share isn't empty gets.
[[nodiscard]] std::int64_t smallest_share(std::int64_t batch_size, int size);

/// A rank's share of items that may be split anywhere, in the ranks' order.
[[nodiscard]] Share share_of_items(std::int64_t items, int rank, int size);

}  // namespace xception
