#include <algorithm>
#include <cmath>

#include "makers.h"

namespace xception {
namespace {

/// torchvision.transforms.v2.CenterCrop(size): a square from the middle; what lies outside a
/// smaller image is black.
class CenterCrop : public Transform {
 public:
  explicit CenterCrop(std::int64_t image_size) : size_(image_size) {}

  std::vector<Key> keys() override {
    return {{"size", &size_, between(1, 8192), "side of the square, px"}};
  }

  Size output(Size) const override { return {size_, size_}; }

  void compose(AxisMaps& maps, Size input, const torch::Tensor& drawn) const override {
    if (output(input) == input) return;
    compose_part(maps, input, {0, 0, input}, {0, 0, output(input)}, drawn);
  }

  Part source(Size input, const Part& part) const override {
    const auto rows = inside(input.height, {part.top, part.size.height});
    const auto cols = inside(input.width, {part.left, part.size.width});
    return {rows.first, cols.first, {rows.count, cols.count}};
  }

  void compose_part(AxisMaps& maps, Size input, const Part& from, const Part& to,
                    const torch::Tensor& drawn) const override {
    const auto options = drawn.options();
    maps.rows =
        chain(window(input.height, {from.top, from.size.height}, {to.top, to.size.height}, options),
              maps.rows);
    maps.cols =
        chain(window(input.width, {from.left, from.size.width}, {to.left, to.size.width}, options),
              maps.cols);
  }

  void compose_taps(Taps& rows, Taps& cols, Size input, const float*) const override {
    rows = rows.then(Taps::shift(offset(input.height), size_, input.height));
    cols = cols.then(Taps::shift(offset(input.width), size_, input.width));
  }

 private:
  /// The source pixel of the first row or column, which follows torchvision: half to even when
  /// cropping; when the image is smaller, the padding before is rounded down.
  std::int64_t offset(std::int64_t input) const {
    return input >= size_
               ? static_cast<std::int64_t>(std::nearbyint(static_cast<double>(input - size_) / 2.0))
               : -((size_ - input) / 2);
  }

  /// The source pixels of the pixels `to`; one, if all of those are black.
  Span inside(std::int64_t input, Span to) const {
    const auto first = std::clamp<std::int64_t>(to.first + offset(input), 0, input - 1);
    const auto end =
        std::clamp<std::int64_t>(to.first + to.count + offset(input), first + 1, input);
    return {first, end - first};
  }

  /// (1, to.count, from.count): row i takes source pixel i + offset.
  torch::Tensor window(std::int64_t input, Span from, Span to,
                       const torch::TensorOptions& options) const {
    const auto whole = options.dtype(torch::kInt64);
    const auto first = to.first + offset(input);
    const auto target = torch::arange(first, first + to.count, whole).view({1, -1, 1});
    const auto source = torch::arange(from.first, from.first + from.count, whole).view({1, 1, -1});
    return (target == source).to(options.dtype());
  }

  std::int64_t size_;
};

}  // namespace

std::unique_ptr<Transform> make_center_crop(std::int64_t image_size) {
  return std::make_unique<CenterCrop>(image_size);
}

}  // namespace xception
