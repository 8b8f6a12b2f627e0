#include <array>
#include <cmath>

#include "makers.h"
#include "pixel_operations.h"
#include "xception/core/error.h"

namespace xception {
namespace {

using enum PixelOperation;

/// What may happen, as likely each, in torchvision's order.
const std::vector<PixelOperation>& all_operations() {
  static const std::vector<PixelOperation> all = {
      identity,   shear_x,  shear_y,   translate_x, translate_y, rotate,        brightness,
      saturation, contrast, sharpness, posterize,   solarize,    auto_contrast, equalize};
  return all;
}

/// The strongest of each.
struct Strengths {
  double shear = 0.3;
  double translate_x = 0.0, translate_y = 0.0;  ///< px
  double rotate = 30.0;                         ///< degrees
  double factor = 0.9;                          ///< added to 1 or taken off it
  double bits = 4.0;                            ///< taken off 8
};

/// Which of the magnitudes there are.
struct Level {
  std::int64_t number = 0;
  std::int64_t bins = 0;
};

/// torch.linspace(start, end, bins)[number], by the same function, since its last bit decides: a
/// shift by 16 px may be one by 15.999999, of which the fraction is cut off.
double linspace(double start, double end, const Level& level) {
  return torch::linspace(start, end, level.bins, torch::kFloat32)[level.number].item<float>();
}

double strength(double most, const Level& level) {
  return linspace(0.0, most, level);
}

/// sign: 1 or -1.
double value_of(PixelOperation operation, const Level& level, double sign, const Strengths& most) {
  switch (operation) {
    case shear_x:
    case shear_y:
      return sign * strength(most.shear, level);
    case translate_x:
      return sign * std::trunc(strength(most.translate_x, level));
    case translate_y:
      return sign * std::trunc(strength(most.translate_y, level));
    case rotate:
      return sign * strength(most.rotate, level);
    case brightness:
    case contrast:
    case saturation:
    case sharpness:
      return 1.0 + sign * strength(most.factor, level);
    case posterize:
      return std::nearbyint(8.0 - static_cast<double>(level.number) /
                                      (static_cast<double>(level.bins - 1) / most.bits));
    case solarize:
      return 255.0 * linspace(1.0, 0.0, level);
    default:
      return 0.0;
  }
}

/// Draws operations: for each its number and its value.
class Augment : public Transform {
 public:
  std::int64_t draws() const override { return 2 * operations(); }
  bool changes_pixels() const override { return true; }

  void draw(const Draw& image, Size input, float* numbers) const override {
    const auto& all = all_operations();
    const auto most = strengths(input);
    for (std::int64_t i = 0; i < operations(); ++i) {
      const auto operation = all[static_cast<std::size_t>(image.random.below(std::ssize(all)))];
      const auto at = level(image.random);
      const double sign = image.random.below(2) == 0 ? 1.0 : -1.0;
      *numbers++ = static_cast<float>(operation);
      *numbers++ = static_cast<float>(value_of(operation, at, sign, most));
    }
  }

  torch::Tensor pixels(const torch::Tensor& images, const torch::Tensor& drawn) const override {
    auto result = images;
    for (std::int64_t i = 0; i < operations(); ++i) {
      result = apply_pixel_operations(result, drawn.select(1, 2 * i), drawn.select(1, 2 * i + 1),
                                      all_operations());
    }
    return result;
  }

 protected:
  [[nodiscard]] virtual std::int64_t operations() const = 0;
  [[nodiscard]] virtual Strengths strengths(Size input) const = 0;
  [[nodiscard]] virtual Level level(CounterRandom& random) const = 0;
};

/// torchvision.transforms.v2.RandAugment (Cubuk et al., arXiv 1909.13719), nearest pixel, black
/// outside.
class RandAugment : public Augment {
 public:
  std::vector<Key> keys() override {
    return {{"num_ops", &operations_, between(1, 16), "operations an image"},
            {"magnitude", &magnitude_, between(0, 1e3), "how strong they are"},
            {"num_magnitude_bins", &bins_, between(2, 1e3), "magnitudes that there are"}};
  }

  Size output(Size input) const override {
    if (magnitude_ < bins_) return input;
    throw input_error("config",
                      "rand_augment: magnitude: found {}, expected less than num_magnitude_bins {}",
                      magnitude_, bins_);
  }

 protected:
  std::int64_t operations() const override { return operations_; }
  Strengths strengths(Size input) const override {
    constexpr double kShare = 150.0 / 331.0;
    return {.translate_x = kShare * static_cast<double>(input.width),
            .translate_y = kShare * static_cast<double>(input.height)};
  }
  Level level(CounterRandom&) const override { return {.number = magnitude_, .bins = bins_}; }

 private:
  std::int64_t operations_ = 2;
  std::int64_t magnitude_ = 9;
  std::int64_t bins_ = 31;
};

/// torchvision.transforms.v2.TrivialAugmentWide (Müller and Hutter, arXiv 2103.10158), nearest
/// pixel, black outside.
class TrivialAugment : public Augment {
 public:
  std::vector<Key> keys() override {
    return {{"num_magnitude_bins", &bins_, between(2, 1e3), "magnitudes, of which one is drawn"}};
  }

 protected:
  std::int64_t operations() const override { return 1; }
  Strengths strengths(Size) const override {
    return {.shear = 0.99,
            .translate_x = 32.0,
            .translate_y = 32.0,
            .rotate = 135.0,
            .factor = 0.99,
            .bits = 6.0};
  }
  Level level(CounterRandom& random) const override {
    return {.number = random.below(bins_), .bins = bins_};
  }

 private:
  std::int64_t bins_ = 31;
};

}  // namespace

std::unique_ptr<Transform> make_rand_augment(std::int64_t) {
  return std::make_unique<RandAugment>();
}

std::unique_ptr<Transform> make_trivial_augment(std::int64_t) {
  return std::make_unique<TrivialAugment>();
}

}  // namespace xception
