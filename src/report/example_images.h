#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "xception/data/dataset.h"

namespace xception {

/// Draws test images side by side, `columns` in a row, each stretched to a square of 64 px without
/// smoothing, as PNG. indices: of the test subset. Errors (run): cannot be written.
void draw_images(const Dataset& dataset, const std::vector<std::int64_t>& indices,
                 std::int64_t columns, const std::filesystem::path& file);

}  // namespace xception
