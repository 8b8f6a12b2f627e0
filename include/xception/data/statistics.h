#pragma once

#include <array>
#include <cstdint>
#include <functional>

#include "xception/data/dataset.h"

namespace xception {

/// Mean and standard deviation (of all pixels, not of a sample of them) of red, green and blue in
/// 0 .. 1.
struct ChannelStatistics {
  std::array<double, 3> mean{};
  std::array<double, 3> std{};
  std::int64_t images = 0;
  std::int64_t pixels = 0;
};

/// Of all training images of the files at their own size, those that validation is drawn from
/// included. Sums are of whole numbers, so threads change nothing. progress: images done of all,
/// may be called from several threads. Errors: an image that cannot be read, by its number; (run)
/// more than 2^47 pixels; (input) no images.
[[nodiscard]] ChannelStatistics channel_statistics(
    const Dataset& dataset,
    const std::function<void(std::int64_t done, std::int64_t total)>& progress = {});

}  // namespace xception
