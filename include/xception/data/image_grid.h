#pragma once

#include <torch/types.h>

#include "xception/data/image_io.h"

namespace xception {

/// images: (n, S, S, 3), 0 .. 255 -> one picture of `columns` images a row (0: as square as it
/// gets), with a white border between.
[[nodiscard]] RgbImage image_grid(const torch::Tensor& images, std::int64_t columns = 0);

}  // namespace xception
