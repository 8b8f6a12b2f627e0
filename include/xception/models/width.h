#pragma once

#include <cstdint>
#include <vector>

#include "xception/config/keys.h"

namespace xception {

/// The key `model.width`, of the models that can be made narrower or wider than published.
struct WidthOptions {
  double width = 1.0;  ///< multiplies every channel count, rounded to multiples of 8

  [[nodiscard]] std::vector<Key> keys();
};

/// A published channel count times the width: the nearest multiple of 8, which matrix units like,
/// and at least 8.
[[nodiscard]] std::int64_t scaled_channels(std::int64_t channels, double width);

}  // namespace xception
