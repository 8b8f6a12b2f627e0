#include "resized.h"

#include <algorithm>
#include <vector>

#include "../resample_pixels.h"

namespace xception {

RgbImage with_shorter_side(const RgbImage& image, std::int64_t side) {
  const auto shorter = std::min(image.height, image.width);
  const auto height = side * image.height / shorter;
  const auto width = side * image.width / shorter;
  const auto rows = Taps::resample(0, image.height, height, image.height);
  const auto cols = Taps::resample(0, image.width, width, image.width);
  std::vector<float> values(static_cast<std::size_t>(height * width * 3));
  resample_pixels(image.pixels.data(), rows, cols, first_axis(rows), {}, values.data());
  RgbImage resized{height, width, std::vector<std::uint8_t>(values.size())};
  std::transform(values.begin(), values.end(), resized.pixels.begin(),
                 [](float value) { return static_cast<std::uint8_t>(value); });
  return resized;
}

}  // namespace xception
