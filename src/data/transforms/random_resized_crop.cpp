#include <algorithm>
#include <array>
#include <cmath>

#include "makers.h"

namespace xception {
namespace {

/// A crop in pixels of the transform's input.
struct Box {
  std::int64_t top, left, height, width;
};

/// torchvision.transforms.v2.RandomResizedCrop: a box of random area and aspect ratio, resized
/// (Szegedy et al. 2015). Ten tries, then the largest centered box within the ratios.
class RandomResizedCrop : public Transform {
 public:
  explicit RandomResizedCrop(std::int64_t image_size) : size_(image_size) {}

  std::vector<Key> keys() override {
    return {{"size", &size_, between(1, 8192), "side of the result, px"},
            {"scale", &scale_, Range{.low = 0, .high = 1, .low_open = true},
             "least and largest share of the image's area"},
            {"ratio", &ratio_, above(0), "least and largest width / height"}};
  }

  Size output(Size) const override { return {size_, size_}; }
  std::int64_t draws() const override { return 4; }

  void draw(const Draw& image, Size input, float* numbers) const override {
    const Box box = draw_box(image.random, input);
    const std::array<std::int64_t, 4> values = {box.top, box.left, box.height, box.width};
    std::transform(values.begin(), values.end(), numbers,
                   [](std::int64_t value) { return static_cast<float>(value); });
  }

  void compose(AxisMaps& maps, Size input, const torch::Tensor& drawn) const override {
    const auto column = [&](std::int64_t i) { return drawn.select(1, i); };
    maps.rows = chain(resample_map(column(0), column(2), size_, input.height), maps.rows);
    maps.cols = chain(resample_map(column(1), column(3), size_, input.width), maps.cols);
  }

  void compose_taps(Taps& rows, Taps& cols, Size input, const float* numbers) const override {
    const auto whole = [&](std::size_t i) { return static_cast<std::int64_t>(numbers[i]); };
    rows = rows.then(Taps::resample(whole(0), whole(2), size_, input.height));
    cols = cols.then(Taps::resample(whole(1), whole(3), size_, input.width));
  }

 private:
  Box draw_box(CounterRandom& random, Size input) const {
    const auto height = static_cast<double>(input.height);
    const auto width = static_cast<double>(input.width);
    for (int attempt = 0; attempt < 10; ++attempt) {
      const double area = height * width * random.uniform(scale_[0], scale_[1]);
      const double aspect = std::exp(random.uniform(std::log(ratio_[0]), std::log(ratio_[1])));
      const auto w = static_cast<std::int64_t>(std::nearbyint(std::sqrt(area * aspect)));
      const auto h = static_cast<std::int64_t>(std::nearbyint(std::sqrt(area / aspect)));
      if (w > 0 && w <= input.width && h > 0 && h <= input.height) {
        const auto top = random.below(input.height - h + 1);
        const auto left = random.below(input.width - w + 1);
        return {top, left, h, w};
      }
    }
    std::int64_t h = input.height;
    std::int64_t w = input.width;
    if (width / height < ratio_[0]) {
      h = static_cast<std::int64_t>(std::nearbyint(width / ratio_[0]));
    } else if (width / height > ratio_[1]) {
      w = static_cast<std::int64_t>(std::nearbyint(height * ratio_[1]));
    }
    return {(input.height - h) / 2, (input.width - w) / 2, h, w};
  }

  std::int64_t size_;
  std::vector<double> scale_ = {0.08, 1.0};
  std::vector<double> ratio_ = {3.0 / 4.0, 4.0 / 3.0};
};

}  // namespace

std::unique_ptr<Transform> make_random_resized_crop(std::int64_t image_size) {
  return std::make_unique<RandomResizedCrop>(image_size);
}

}  // namespace xception
