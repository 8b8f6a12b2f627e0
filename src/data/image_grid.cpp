#include "xception/data/image_grid.h"

#include <cmath>

namespace xception {

RgbImage image_grid(const torch::Tensor& images, std::int64_t columns) {
  constexpr std::int64_t kBorder = 2;
  const auto n = images.size(0);
  const auto side = images.size(1);
  if (columns == 0) {
    columns = static_cast<std::int64_t>(std::ceil(std::sqrt(static_cast<double>(n))));
  }
  const auto rows = (n + columns - 1) / columns;
  const auto pitch = side + kBorder;
  auto grid =
      torch::full({rows * pitch + kBorder, columns * pitch + kBorder, 3}, 255, torch::kUInt8);
  const auto bytes = images.clamp(0, 255).to(torch::kUInt8);
  for (std::int64_t i = 0; i < n; ++i) {
    grid.narrow(0, i / columns * pitch + kBorder, side)
        .narrow(1, i % columns * pitch + kBorder, side)
        .copy_(bytes[i]);
  }
  const auto* data = grid.const_data_ptr<std::uint8_t>();
  return {.height = grid.size(0), .width = grid.size(1), .pixels = {data, data + grid.numel()}};
}

}  // namespace xception
