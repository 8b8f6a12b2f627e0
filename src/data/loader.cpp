#include "xception/data/loader.h"

#include <algorithm>
#include <cmath>

#include "loaders/loaders.h"
#include "xception/core/error.h"

namespace xception {

Input Loader::next(std::int64_t count) {
  auto input = read(0, count);
  advance(count);
  return input;
}

std::unique_ptr<Loader> make_loader(const Dataset& dataset, const InputConfig& config,
                                    const LoaderOptions& options, const torch::Device& device) {
  if (options.indices.empty()) {
    throw input_error("data", "the {} split of {} is empty; expected at least one image",
                      split_name(options.split), dataset.folder.string());
  }
  const bool resident = dataset.images->pixels(dataset.subset_of(options.split)).defined();
  return resident ? make_resident_loader(dataset, config, options, device)
                  : make_streamed_loader(dataset, config, options, device);
}

std::shared_ptr<const Pipeline> sized_pipeline(const InputConfig& config,
                                               const LoaderOptions& options,
                                               const torch::Device& device,
                                               std::int64_t image_size) {
  auto sized = config;
  sized.data.image_size = image_size;
  return std::make_shared<const Pipeline>(sized, options.transforms, device, options.steps);
}

std::int64_t epoch_image_size(const DataConfig& config, std::int64_t epoch) {
  constexpr std::int64_t kMultiple = 8;
  const auto least = config.progressive_size;
  if (least == 0 || epoch >= config.progressive_end) return config.image_size;
  if (epoch <= config.progressive_start) return least;
  const auto share = static_cast<double>(epoch - config.progressive_start) /
                     static_cast<double>(config.progressive_end - config.progressive_start);
  const auto side =
      static_cast<double>(least) + share * static_cast<double>(config.image_size - least);
  const auto rounded = std::llround(side / static_cast<double>(kMultiple)) * kMultiple;
  return std::clamp<std::int64_t>(rounded, least, config.image_size);
}

void check_progressive_size(const DataConfig& config, std::int64_t smallest) {
  if (config.progressive_size == 0) return;
  if (config.progressive_size < smallest || config.progressive_size > config.image_size) {
    throw input_error("config",
                      "data.progressive_size: found {}, expected from {} px, the smallest that the "
                      "model is trained at, to data.image_size {}, or 0 for the same size in all "
                      "epochs",
                      config.progressive_size, smallest, config.image_size);
  }
  if (config.progressive_end <= config.progressive_start) {
    throw input_error("config",
                      "data.progressive_end: found {}, but training images begin to grow after {} "
                      "epochs (data.progressive_start); expected more epochs than that",
                      config.progressive_end, config.progressive_start);
  }
}

void check_transforms(const InputConfig& config, const Dataset& dataset) {
  const auto pixels = dataset.images->pixels(Split::train);
  const auto check = [&](const InputConfig& sized, TransformList list) {
    const Pipeline pipeline(sized, list, torch::kCPU);
    if (pixels.defined()) pipeline.check({pixels.size(2), pixels.size(3)});
  };
  check(config, TransformList::train);
  check(config, TransformList::test);
  if (config.data.progressive_size == 0) return;
  auto small = config;
  small.data.image_size = epoch_image_size(config.data, 0);
  try {
    check(small, TransformList::train);
  } catch (const Error& error) {
    std::string why = error.what();
    if (why.starts_with('[')) why.erase(0, why.find("] ") + 2);
    throw input_error("config",
                      "data.progressive_size: with training images of {} px: {}; leave `size` out "
                      "of the transform that the list ends with",
                      small.data.image_size, why);
  }
}

}  // namespace xception
