#pragma once

#include <chrono>
#include <stdexcept>
#include <thread>

#include "xception/core/error.h"
#include "xception/core/random.h"
#include "xception/data/dataset.h"

/// A data format as a contributor would add it: images are made up as they are read, slowly, each
/// of its own size. It brings a validation subset.
namespace xception::made_up {

inline constexpr std::int64_t kTrain = 23;
inline constexpr std::int64_t kValidation = 5;
inline constexpr std::int64_t kTest = 7;

/// Some test images cannot be read.
class Catalog : public ImageCatalog {
 public:
  [[nodiscard]] std::int64_t size(Split subset) const override {
    return subset == Split::train ? kTrain : subset == Split::test ? kTest : kValidation;
  }

  [[nodiscard]] std::int64_t label(Split, std::int64_t index) const override { return index % 3; }

  [[nodiscard]] RgbImage read(Split subset, std::int64_t index) const override {
    CounterRandom random(1, RandomStream::synthetic, static_cast<std::uint32_t>(subset),
                         static_cast<std::uint32_t>(index));
    std::this_thread::sleep_for(std::chrono::microseconds(random.below(3000)));
    if (subset == Split::test && index == 4) throw std::runtime_error("the disk\nis gone");
    if (subset == Split::test && index == 5) throw input_error("data", "5.jpg: damaged");
    if (subset == Split::test && index == 6) return {.height = 4, .width = 4, .pixels = {0}};
    RgbImage image;
    image.height = 20 + random.below(40);
    image.width = 20 + random.below(40);
    for (std::int64_t i = 0; i < image.height * image.width * 3; ++i) {
      image.pixels.push_back(static_cast<std::uint8_t>(random.below(256)));
    }
    return image;
  }
};

inline Dataset open(const DataConfig& config) {
  return {.images = std::make_shared<Catalog>(),
          .class_names = {"a", "b", "c"},
          .name = "made up",
          .checksum = "0",
          .folder = config.dir};
}

}  // namespace xception::made_up
