#include "xception/data/loader.h"

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

void check_transforms(const InputConfig& config, const Dataset& dataset) {
  const auto pixels = dataset.images->pixels(Split::train);
  for (const auto list : {TransformList::train, TransformList::test}) {
    const Pipeline pipeline(config, list, torch::kCPU);
    if (pixels.defined()) pipeline.check({pixels.size(2), pixels.size(3)});
  }
}

}  // namespace xception
