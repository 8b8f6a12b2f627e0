#include "xception/models/width.h"

#include <algorithm>
#include <cmath>

namespace xception {

std::vector<Key> WidthOptions::keys() {
  return {{"width", &width, Range{.low = 0, .high = 8, .low_open = true},
           "factor on every channel count"}};
}

std::int64_t scaled_channels(std::int64_t channels, double width) {
  const double eighths = std::nearbyint(static_cast<double>(channels) * width / 8.0);
  return 8 * std::max<std::int64_t>(1, static_cast<std::int64_t>(eighths));
}

}  // namespace xception
