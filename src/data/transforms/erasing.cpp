#include <algorithm>
#include <array>
#include <cmath>

#include "makers.h"
#include "xception/core/error.h"

namespace xception {
namespace {

void write(const std::array<std::int64_t, 4>& rectangle, float* numbers) {
  std::transform(rectangle.begin(), rectangle.end(), numbers,
                 [](std::int64_t value) { return static_cast<float>(value); });
}

/// DeVries and Taylor, "Improved Regularization of Convolutional Neural Networks with Cutout"
/// (arXiv 1708.04552): a square whose center is any pixel, cut off at the image's border, is set to
/// the mean.
class Cutout : public Transform {
 public:
  std::vector<Key> keys() override {
    return {{"size", &size_, between(1, 8192), "side of the square, px"},
            {"p", &probability_, between(0, 1), "share of the images that get one"}};
  }

  std::int64_t draws() const override { return 4; }

  void draw(const Draw& image, Size input, float* numbers) const override {
    const bool erased = image.random.uniform() < probability_;
    const auto [top, height] = side(image.random, input.height);
    const auto [left, width] = side(image.random, input.width);
    write({top, left, erased ? height : 0, width}, numbers);
  }

  std::optional<Erasing> erases() const override { return Erasing{}; }

 private:
  Span side(CounterRandom& random, std::int64_t length) const {
    const auto first = random.below(length) - size_ / 2;
    const auto begin = std::max<std::int64_t>(first, 0);
    return {begin, std::min(first + size_, length) - begin};
  }

  std::int64_t size_ = 16;
  double probability_ = 1.0;
};

/// torchvision.transforms.v2.RandomErasing(p, scale, ratio, value), after the normalization: a
/// rectangle of random area and aspect ratio inside the image (Zhong et al., arXiv 1708.04896). Ten
/// tries, then none.
class RandomErasing : public Transform {
 public:
  std::vector<Key> keys() override {
    return {{"p", &probability_, between(0, 1), "share of the images that get a rectangle"},
            {"scale", &scale_, between(0, 1), "least and largest share of the image's area"},
            {"ratio", &ratio_, above(0), "least and largest height / width"},
            {"value", &value_, between(-1e3, 1e3), "what it is set to, normalized: 0 is the mean"}};
  }

  std::int64_t draws() const override { return 4; }

  void draw(const Draw& image, Size input, float* numbers) const override {
    write({0, 0, 0, 0}, numbers);
    auto& random = image.random;
    if (random.uniform() >= probability_) return;
    const auto whole = static_cast<double>(input.height * input.width);
    for (int attempt = 0; attempt < 10; ++attempt) {
      const double area = whole * random.uniform(scale_[0], scale_[1]);
      const double aspect = std::exp(random.uniform(std::log(ratio_[0]), std::log(ratio_[1])));
      const auto h = static_cast<std::int64_t>(std::nearbyint(std::sqrt(area * aspect)));
      const auto w = static_cast<std::int64_t>(std::nearbyint(std::sqrt(area / aspect)));
      if (h >= input.height || w >= input.width) continue;
      const auto top = random.below(input.height - h + 1);
      const auto left = random.below(input.width - w + 1);
      write({top, left, h, w}, numbers);
      return;
    }
  }

  std::optional<Erasing> erases() const override { return Erasing{.value = value_}; }

 private:
  double probability_ = 0.5;
  std::vector<double> scale_ = {0.02, 0.33};
  std::vector<double> ratio_ = {0.3, 3.3};
  double value_ = 0.0;
};

}  // namespace

std::unique_ptr<Transform> make_cutout(std::int64_t) {
  return std::make_unique<Cutout>();
}

std::unique_ptr<Transform> make_random_erasing(std::int64_t) {
  return std::make_unique<RandomErasing>();
}

}  // namespace xception
