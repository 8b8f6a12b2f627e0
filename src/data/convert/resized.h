#pragma once

#include <cstdint>

#include "xception/data/image_io.h"

namespace xception {

/// The image resampled so that its shorter side has `side` px, as torchvision.transforms.v2's
/// Resize(side, antialias=True) does it; the longer one is rounded down.
[[nodiscard]] RgbImage with_shorter_side(const RgbImage& image, std::int64_t side);

}  // namespace xception
