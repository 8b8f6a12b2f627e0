#include "makers.h"

namespace xception {
namespace {

/// Mirrors images whose number is 1.
class Flip : public Transform {
 public:
  std::int64_t draws() const override { return 1; }

  void compose(AxisMaps& maps, Size input, const torch::Tensor& drawn) const override {
    const auto cols =
        maps.cols.defined() ? maps.cols : torch::eye(input.width, drawn.options()).unsqueeze(0);
    maps.cols = torch::where(drawn.view({-1, 1, 1}) > 0.5, cols.flip(1), cols);
  }

  void compose_taps(Taps&, Taps& cols, Size, const float* numbers) const override {
    if (numbers[0] > 0.5F) cols.reverse();
  }
};

/// torchvision.transforms.v2.RandomHorizontalFlip(p).
class HorizontalFlip : public Flip {
 public:
  std::vector<Key> keys() override {
    return {{"p", &probability_, between(0, 1), "share of the images that are mirrored"}};
  }

  void draw(const Draw& image, Size, float* numbers) const override {
    numbers[0] = image.random.uniform() < probability_ ? 1.0F : 0.0F;
  }

 private:
  double probability_ = 0.5;
};

/// Keller Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU" (arXiv 2404.00498), section
/// 3.6: in the first epoch a random half of the images is mirrored; from then on an image is
/// mirrored in every other epoch.
class AlternatingFlip : public Flip {
 public:
  std::vector<Key> keys() override { return {}; }

  void draw(const Draw& image, Size, float* numbers) const override {
    CounterRandom random(image.seed, RandomStream::flip, 0,
                         static_cast<std::uint32_t>(image.index));
    const auto first = random.below(2);
    numbers[0] = static_cast<float>((first + image.epoch) % 2);
  }
};

}  // namespace

std::unique_ptr<Transform> make_horizontal_flip(std::int64_t) {
  return std::make_unique<HorizontalFlip>();
}

std::unique_ptr<Transform> make_alternating_flip(std::int64_t) {
  return std::make_unique<AlternatingFlip>();
}

}  // namespace xception
