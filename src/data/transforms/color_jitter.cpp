#include <algorithm>
#include <array>
#include <utility>

#include "makers.h"
#include "pixel_operations.h"

namespace xception {
namespace {

/// torchvision.transforms.v2.ColorJitter: brightness, contrast, saturation and hue changed by
/// random factors, in random order.
class ColorJitter : public Transform {
 public:
  std::vector<Key> keys() override {
    return {
        {"brightness", &most_[0], between(0, 100), "factor from 1 - this, at least 0, to 1 + this"},
        {"contrast", &most_[1], between(0, 100), "likewise"},
        {"saturation", &most_[2], between(0, 100), "likewise"},
        {"hue", &most_[3], between(0, 0.5), "turned by -this to this of a whole circle"}};
  }

  /// Four operations in their order and their values.
  std::int64_t draws() const override { return 8; }

  void draw(const Draw& image, Size, float* numbers) const override {
    std::array<std::size_t, 4> order = {0, 1, 2, 3};
    for (std::size_t i = order.size() - 1; i > 0; --i) {
      std::swap(
          order[i],
          order[static_cast<std::size_t>(image.random.below(static_cast<std::int64_t>(i) + 1))]);
    }
    for (std::size_t i = 0; i < order.size(); ++i) {
      const auto which = order[i];
      const double most = most_[which];
      const bool is_hue = which == 3;
      const double low = is_hue ? -most : std::max(0.0, 1.0 - most);
      const double value = image.random.uniform(low, is_hue ? most : 1.0 + most);
      numbers[2 * i] = static_cast<float>(most > 0 ? kAll[which] : PixelOperation::identity);
      numbers[2 * i + 1] = static_cast<float>(value);
    }
  }

  bool changes_pixels() const override { return true; }

  torch::Tensor pixels(const torch::Tensor& images, const torch::Tensor& drawn) const override {
    std::vector<PixelOperation> possible;
    for (std::size_t i = 0; i < kAll.size(); ++i) {
      if (most_[i] > 0) possible.push_back(kAll[i]);
    }
    auto result = images;
    for (std::int64_t i = 0; i < 4; ++i) {
      result = apply_pixel_operations(result, drawn.select(1, 2 * i), drawn.select(1, 2 * i + 1),
                                      possible);
    }
    return result;
  }

 private:
  static constexpr std::array<PixelOperation, 4> kAll = {
      PixelOperation::brightness, PixelOperation::contrast, PixelOperation::saturation,
      PixelOperation::hue};
  std::array<double, 4> most_ = {0.0, 0.0, 0.0, 0.0};
};

}  // namespace

std::unique_ptr<Transform> make_color_jitter(std::int64_t) {
  return std::make_unique<ColorJitter>();
}

}  // namespace xception
