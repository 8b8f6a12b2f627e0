#include <algorithm>

#include "makers.h"
#include "xception/core/error.h"

namespace xception {
namespace {

/// torchvision.transforms.v2.RandomCrop(side, padding, padding_mode=...): a random window of the
/// input's own size out of the input with a border.
class PadAndCrop : public Transform {
 public:
  std::vector<Key> keys() override {
    return {{"padding", &padding_, between(0, 1024), "width of the border, px"},
            {"padding_mode", &mode_, Choices{"constant", "edge", "reflect", "symmetric"},
             "what the border shows: black, the outermost pixel, or the image mirrored, without "
             "(reflect) or with (symmetric) its outermost pixel"}};
  }

  Size output(Size input) const override {
    const auto least = std::min(input.height, input.width);
    const auto most = mode_ == "reflect" ? least - 1 : mode_ == "symmetric" ? least : padding_;
    if (padding_ <= most) return input;
    throw input_error("config",
                      "pad_and_crop: padding: found {}, but padding_mode {} mirrors images of {} x "
                      "{} px; expected at most {}",
                      padding_, mode_, input.height, input.width, most);
  }

  std::int64_t draws() const override { return 2; }

  void draw(const Draw& image, Size, float* numbers) const override {
    for (int axis = 0; axis < 2; ++axis) {
      numbers[axis] = static_cast<float>(image.random.below(2 * padding_ + 1) - padding_);
    }
  }

  void compose(AxisMaps& maps, Size input, const torch::Tensor& drawn) const override {
    maps.rows = chain(shift(input.height, drawn.select(1, 0)), maps.rows);
    maps.cols = chain(shift(input.width, drawn.select(1, 1)), maps.cols);
  }

  void compose_taps(Taps& rows, Taps& cols, Size input, const float* numbers) const override {
    rows = rows.then(shift(input.height, static_cast<std::int64_t>(numbers[0])));
    cols = cols.then(shift(input.width, static_cast<std::int64_t>(numbers[1])));
  }

 private:
  /// (N, length, length): row i takes source pixel i + offset, or what the border has there.
  torch::Tensor shift(std::int64_t length, const torch::Tensor& offset) const {
    const auto place = torch::arange(length, offset.options());
    auto source = place.view({1, -1, 1}) + offset.view({-1, 1, 1});
    const auto last = static_cast<double>(length - 1);
    if (mode_ == "edge") {
      source = source.clamp(0.0, last);
    } else if (mode_ != "constant") {
      const auto skip = mode_ == "symmetric" ? 1.0 : 0.0;
      source = torch::where(source < 0, -source - skip, source);
      source = torch::where(source > last, 2 * last + skip - source, source);
    }
    return (source == place.view({1, 1, -1})).to(offset.scalar_type());
  }

  Taps shift(std::int64_t length, std::int64_t offset) const {
    auto taps = Taps::shift(offset, length, length);
    if (mode_ == "constant") return taps;
    const std::int64_t skip = mode_ == "symmetric" ? 1 : 0;
    for (std::int64_t i = 0; i < length; ++i) {
      auto source = i + offset;
      if (mode_ == "edge") {
        source = std::clamp<std::int64_t>(source, 0, length - 1);
      } else if (source < 0) {
        source = -source - skip;
      } else if (source >= length) {
        source = 2 * (length - 1) + skip - source;
      }
      taps.rows[static_cast<std::size_t>(i)] = {source, 0, 1};
    }
    return taps;
  }

  std::int64_t padding_ = 4;
  std::string mode_ = "constant";
};

}  // namespace

std::unique_ptr<Transform> make_pad_and_crop(std::int64_t) {
  return std::make_unique<PadAndCrop>();
}

}  // namespace xception
