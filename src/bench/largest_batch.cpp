#include "xception/bench/largest_batch.h"

#include <algorithm>

namespace xception {

std::int64_t find_largest_batch(const BatchSearch& search,
                                const std::function<bool(std::int64_t)>& fits) {
  std::int64_t good = 0;
  std::int64_t bad = 0;
  for (auto batch = std::min(search.first, search.limit); bad == 0;
       batch = std::min(batch * 2, search.limit)) {
    if (!fits(batch)) {
      bad = batch;
    } else if (batch == search.limit) {
      return batch;
    } else {
      good = batch;
    }
  }
  if (good == 0) return 0;
  while (bad - good > search.granularity) {
    auto middle = good + (bad - good) / 2;
    middle -= middle % search.granularity;
    if (middle <= good) middle += search.granularity;
    if (middle >= bad) break;
    (fits(middle) ? good : bad) = middle;
  }
  return good;
}

std::int64_t predict_memory(const std::vector<BatchMemory>& measured, std::int64_t batch) {
  const auto& last = measured.back();
  double growth = static_cast<double>(last.bytes) / static_cast<double>(last.batch);
  if (measured.size() > 1) {
    const auto& before = measured[measured.size() - 2];
    growth = static_cast<double>(last.bytes - before.bytes) /
             static_cast<double>(last.batch - before.batch);
  }
  const auto more = growth * static_cast<double>(batch - last.batch);
  return last.bytes + std::max<std::int64_t>(0, static_cast<std::int64_t>(more));
}

}  // namespace xception
