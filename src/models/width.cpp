#include "xception/models/width.h"

#include <algorithm>
#include <cmath>

namespace xception {

Key width_key(double* width) {
  return {.name = "width",
          .variable = width,
          .accepts = Range{.low = 0, .high = 8, .low_open = true},
          .meaning = "factor on every channel count"};
}

std::int64_t scaled_channels(std::int64_t channels, double width) {
  const double eighths = std::nearbyint(static_cast<double>(channels) * width / 8.0);
  return 8 * std::max<std::int64_t>(1, static_cast<std::int64_t>(eighths));
}

}  // namespace xception
