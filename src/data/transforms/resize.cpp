#include "makers.h"
#include "xception/core/error.h"

namespace xception {
namespace {

/// torchvision.transforms.v2.Resize(size): the shorter side becomes `size`, the longer one keeps
/// the aspect ratio, rounded down as torchvision does.
class Resize : public Transform {
 public:
  explicit Resize(std::int64_t image_size) : size_(image_size) {}

  std::vector<Key> keys() override {
    return {{"size", &size_, between(1, 8192), "length of the shorter side, px"}};
  }

  Size output(Size input) const override {
    if (input.height <= input.width) return {size_, size_ * input.width / input.height};
    return {size_ * input.height / input.width, size_};
  }

  void compose(AxisMaps& maps, Size input, const torch::Tensor& drawn) const override {
    compose_part(maps, input, {0, 0, input}, {0, 0, output(input)}, drawn);
  }

  Part source(Size input, const Part& part) const override {
    const auto target = output(input);
    if (target == input) return part;
    const auto rows = resample_source(input.height, target.height, {part.top, part.size.height});
    const auto cols = resample_source(input.width, target.width, {part.left, part.size.width});
    return {rows.first, cols.first, {rows.count, cols.count}};
  }

  void compose_part(AxisMaps& maps, Size input, const Part& from, const Part& to,
                    const torch::Tensor& drawn) const override {
    const auto target = output(input);
    if (target == input) return;
    const auto options = drawn.options();
    maps.rows = chain(resample_map(input.height, target.height, {from.top, from.size.height},
                                   {to.top, to.size.height}, options),
                      maps.rows);
    maps.cols = chain(resample_map(input.width, target.width, {from.left, from.size.width},
                                   {to.left, to.size.width}, options),
                      maps.cols);
  }

  void compose_taps(Taps& rows, Taps& cols, Size input, const float*) const override {
    const auto target = output(input);
    if (target == input) return;
    rows = rows.then(Taps::resample(0, input.height, target.height, input.height));
    cols = cols.then(Taps::resample(0, input.width, target.width, input.width));
  }

 private:
  std::int64_t size_;
};

}  // namespace

std::unique_ptr<Transform> make_resize(std::int64_t image_size) {
  return std::make_unique<Resize>(image_size);
}

}  // namespace xception
