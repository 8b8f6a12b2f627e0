#include "example_images.h"

#include "xception/data/image_grid.h"

namespace xception {
namespace {

/// Browsers enlarge pictures with soft edges in places; ready-made they look the same everywhere.
constexpr std::int64_t kSide = 64;

/// The image as kSide x kSide pixels that are each one of its own: uint8 (kSide, kSide, 3).
torch::Tensor tile(const RgbImage& image) {
  const auto places = torch::arange(kSide);
  const auto pixels =
      torch::tensor(at::ArrayRef<std::uint8_t>(image.pixels)).view({image.height, image.width, 3});
  return pixels.index_select(0, places.mul(image.height).floor_divide(kSide))
      .index_select(1, places.mul(image.width).floor_divide(kSide));
}

}  // namespace

void draw_images(const Dataset& dataset, const std::vector<std::int64_t>& indices,
                 std::int64_t columns, const std::filesystem::path& file) {
  std::vector<torch::Tensor> tiles;
  for (const auto index : indices) tiles.push_back(tile(dataset.images->read(Split::test, index)));
  write_png(file, image_grid(torch::stack(tiles), columns));
}

}  // namespace xception
