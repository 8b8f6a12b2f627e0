#include "xception/parallel/share.h"

#include <algorithm>

namespace xception {

namespace {

/// Ranks that get images.
std::int64_t busy_ranks(std::int64_t batch_size, int size) {
  return std::clamp<std::int64_t>(batch_size / 2, 1, size);
}

}  // namespace

Share share_of_batch(std::int64_t batch_size, int rank, int size) {
  const auto ranks = busy_ranks(batch_size, size);
  if (rank >= ranks) return {.first = batch_size, .count = 0};
  const auto each = batch_size / ranks;
  const auto more = batch_size % ranks;
  return {.first = rank * each + std::min<std::int64_t>(rank, more),
          .count = each + (rank < more ? 1 : 0)};
}

std::int64_t smallest_share(std::int64_t batch_size, int size) {
  return batch_size / busy_ranks(batch_size, size);
}

Share share_of_items(std::int64_t items, int rank, int size) {
  const auto first = items * rank / size;
  return {.first = first, .count = items * (rank + 1) / size - first};
}

}  // namespace xception
