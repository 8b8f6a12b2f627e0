#include <cmath>

#include "makers.h"

namespace xception {
namespace {

/// torchvision.transforms.v2.CenterCrop(size): a square from the middle; what lies outside a
/// smaller image is black.
class CenterCrop : public Transform {
 public:
  explicit CenterCrop(std::int64_t image_size) : size_(image_size) {}

  void visit(KeyVisitor& visitor) override {
    visitor.key("size", size_, between(1, 8192), "side of the square, px");
  }

  Size output(Size) const override { return {size_, size_}; }

  void compose(AxisMaps& maps, Size input, const torch::Tensor& drawn) const override {
    if (output(input) == input) return;
    maps.rows = chain(window(input.height, drawn.options()), maps.rows);
    maps.cols = chain(window(input.width, drawn.options()), maps.cols);
  }

 private:
  /// (1, size, input): row i takes source pixel i + offset. The offset follows torchvision: half to
  /// even when cropping; when the image is smaller, the padding before is rounded down.
  torch::Tensor window(std::int64_t input, const torch::TensorOptions& options) const {
    const auto offset =
        input >= size_
            ? static_cast<std::int64_t>(std::nearbyint(static_cast<double>(input - size_) / 2.0))
            : -((size_ - input) / 2);
    const auto target =
        torch::arange(size_, options).add_(static_cast<double>(offset)).view({1, -1, 1});
    const auto source = torch::arange(input, options).view({1, 1, -1});
    return (target == source).to(options.dtype());
  }

  std::int64_t size_;
};

}  // namespace

std::unique_ptr<Transform> make_center_crop(std::int64_t image_size) {
  return std::make_unique<CenterCrop>(image_size);
}

}  // namespace xception
