#include "makers.h"

namespace xception {
namespace {

/// torchvision.transforms.v2.RandomCrop(side, padding): a random window of the input's own size out
/// of the input with a black border.
class PadAndCrop : public Transform {
 public:
  std::vector<Key> keys() override {
    return {{"padding", &padding_, between(0, 1024), "width of the border, px"}};
  }

  std::int64_t draws() const override { return 2; }

  void draw(CounterRandom& random, Size, float* numbers) const override {
    for (int axis = 0; axis < 2; ++axis) {
      numbers[axis] = static_cast<float>(random.below(2 * padding_ + 1) - padding_);
    }
  }

  void compose(AxisMaps& maps, Size input, const torch::Tensor& drawn) const override {
    maps.rows = chain(shift(input.height, drawn.select(1, 0)), maps.rows);
    maps.cols = chain(shift(input.width, drawn.select(1, 1)), maps.cols);
  }

  void compose_taps(Taps& rows, Taps& cols, Size input, const float* numbers) const override {
    const auto whole = [&](std::size_t i) { return static_cast<std::int64_t>(numbers[i]); };
    rows = rows.then(Taps::shift(whole(0), input.height, input.height));
    cols = cols.then(Taps::shift(whole(1), input.width, input.width));
  }

 private:
  /// (N, length, length): row i takes source pixel i + offset, or nothing outside.
  static torch::Tensor shift(std::int64_t length, const torch::Tensor& offset) {
    const auto place = torch::arange(length, offset.options());
    return (place.view({1, -1, 1}) + offset.view({-1, 1, 1}) == place.view({1, 1, -1}))
        .to(offset.scalar_type());
  }

  std::int64_t padding_ = 4;
};

}  // namespace

std::unique_ptr<Transform> make_pad_and_crop(std::int64_t) {
  return std::make_unique<PadAndCrop>();
}

}  // namespace xception
