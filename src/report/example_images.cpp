#include "example_images.h"

#include "xception/data/image_grid.h"

namespace xception {
namespace {

/// Browsers enlarge pictures with soft edges in places; ready-made they look the same everywhere.
constexpr std::int64_t kSide = 64;

}  // namespace

void draw_images(const Dataset& dataset, const std::vector<std::int64_t>& indices,
                 std::int64_t columns, const std::filesystem::path& file) {
  const auto images = dataset.test.images.index_select(0, torch::tensor(indices, torch::kInt64))
                          .permute({0, 2, 3, 1});  // (n, H, W, 3)
  const auto factor = std::max<std::int64_t>(1, kSide / images.size(1));
  const auto large = images.repeat_interleave(factor, 1).repeat_interleave(factor, 2);
  write_png(file, image_grid(large, columns));
}

}  // namespace xception
