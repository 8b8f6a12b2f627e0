#include "makers.h"
#include "xception/core/error.h"

namespace xception {
namespace {

/// torchvision.transforms.v2.Resize(size): the shorter side becomes `size`, the longer one keeps
/// the aspect ratio, rounded down as torchvision does.
class Resize : public Transform {
 public:
  explicit Resize(std::int64_t image_size) : size_(image_size) {}

  void visit(KeyVisitor& visitor) override {
    visitor.key("size", size_, between(1, 8192), "length of the shorter side, px");
  }

  Size output(Size input) const override {
    if (input.height <= input.width) return {size_, size_ * input.width / input.height};
    return {size_ * input.height / input.width, size_};
  }

  void compose(AxisMaps& maps, Size input, const torch::Tensor& drawn) const override {
    const auto target = output(input);
    if (target == input) return;
    const auto whole = [&](std::int64_t length) {
      const auto options = drawn.options();
      return std::pair{torch::zeros({1}, options),
                       torch::full({1}, static_cast<double>(length), options)};
    };
    const auto [top, height] = whole(input.height);
    const auto [left, width] = whole(input.width);
    maps.rows = chain(resample_map(top, height, target.height, input.height), maps.rows);
    maps.cols = chain(resample_map(left, width, target.width, input.width), maps.cols);
  }

 private:
  std::int64_t size_;
};

}  // namespace

std::unique_ptr<Transform> make_resize(std::int64_t image_size) {
  return std::make_unique<Resize>(image_size);
}

}  // namespace xception
