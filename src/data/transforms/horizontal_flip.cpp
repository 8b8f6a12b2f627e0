#include "makers.h"

namespace xception {
namespace {

/// torchvision.transforms.v2.RandomHorizontalFlip(p).
class HorizontalFlip : public Transform {
 public:
  std::vector<Key> keys() override {
    return {{"p", &probability_, between(0, 1), "share of the images that are mirrored"}};
  }

  std::int64_t draws() const override { return 1; }

  void draw(CounterRandom& random, Size, float* numbers) const override {
    numbers[0] = random.uniform() < probability_ ? 1.0F : 0.0F;
  }

  void compose(AxisMaps& maps, Size input, const torch::Tensor& drawn) const override {
    const auto cols =
        maps.cols.defined() ? maps.cols : torch::eye(input.width, drawn.options()).unsqueeze(0);
    maps.cols = torch::where(drawn.view({-1, 1, 1}) > 0.5, cols.flip(1), cols);
  }

  void compose_taps(Taps&, Taps& cols, Size, const float* numbers) const override {
    if (numbers[0] > 0.5F) cols.reverse();
  }

 private:
  double probability_ = 0.5;
};

}  // namespace

std::unique_ptr<Transform> make_horizontal_flip(std::int64_t) {
  return std::make_unique<HorizontalFlip>();
}

}  // namespace xception
