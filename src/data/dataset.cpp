#include "xception/data/dataset.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "xception/core/error.h"
#include "xception/core/random.h"

namespace xception {
namespace {

/// Images in memory.
class MemoryCatalog : public ImageCatalog {
 public:
  MemoryCatalog(ImageSet train, ImageSet test) : train_(std::move(train)), test_(std::move(test)) {}

  [[nodiscard]] std::int64_t size(Split subset) const override {
    const auto& labels = of(subset).labels;
    return labels.defined() ? labels.size(0) : 0;
  }

  [[nodiscard]] std::int64_t label(Split subset, std::int64_t index) const override {
    return of(subset).labels.const_data_ptr<std::int64_t>()[index];
  }

  [[nodiscard]] RgbImage read(Split subset, std::int64_t index) const override {
    const auto pixels = of(subset).images[index].permute({1, 2, 0}).contiguous();
    const auto* data = pixels.const_data_ptr<std::uint8_t>();
    return {
        .height = pixels.size(0), .width = pixels.size(1), .pixels = {data, data + pixels.numel()}};
  }

  [[nodiscard]] torch::Tensor pixels(Split subset) const override { return of(subset).images; }

 private:
  [[nodiscard]] const ImageSet& of(Split subset) const {
    static const ImageSet none;
    return subset == Split::train ? train_ : subset == Split::test ? test_ : none;
  }

  ImageSet train_;
  ImageSet test_;
};

std::vector<std::int64_t> ascending(std::int64_t n) {
  std::vector<std::int64_t> indices(static_cast<std::size_t>(n));
  std::iota(indices.begin(), indices.end(), std::int64_t{0});
  return indices;
}

void limit(std::vector<std::int64_t>& indices, std::int64_t n) {
  if (n > 0 && static_cast<std::size_t>(n) < indices.size()) {
    indices.resize(static_cast<std::size_t>(n));
  }
}

/// How many validation images each class gives: its share, rounded so that the sum is exact
/// (largest remainders first).
std::vector<std::int64_t> stratified_counts(const std::vector<std::int64_t>& class_sizes,
                                            std::int64_t total, std::int64_t wanted) {
  std::vector<std::int64_t> counts;
  std::vector<std::pair<double, std::size_t>> remainders;
  std::int64_t given = 0;
  for (std::size_t c = 0; c < class_sizes.size(); ++c) {
    const double share = static_cast<double>(class_sizes[c]) * static_cast<double>(wanted) /
                         static_cast<double>(total);
    counts.push_back(static_cast<std::int64_t>(std::floor(share)));
    given += counts.back();
    remainders.emplace_back(std::floor(share) - share, c);
  }
  std::sort(remainders.begin(), remainders.end());
  for (std::size_t i = 0; given < wanted; ++i, ++given) ++counts[remainders[i].second];
  return counts;
}

}  // namespace

std::shared_ptr<const ImageCatalog> in_memory(ImageSet train, ImageSet test) {
  return std::make_shared<MemoryCatalog>(std::move(train), std::move(test));
}

Split Dataset::subset_of(Split split) const {
  const bool drawn = split == Split::validation && images->size(Split::validation) == 0;
  return drawn ? Split::train : split;
}

Split parse_split(const std::string& name) {
  for (const auto split : {Split::train, Split::validation, Split::test}) {
    if (name == split_name(split)) return split;
  }
  throw input_error("data", "split {}: expected train, validation or test", name);
}

std::string split_name(Split split) {
  switch (split) {
    case Split::train:
      return "train";
    case Split::validation:
      return "validation";
    case Split::test:
      return "test";
  }
  return "";
}

const std::vector<std::int64_t>& SplitIndices::of(Split split) const {
  return split == Split::train ? train : split == Split::validation ? validation : test;
}

SplitIndices split_dataset(const Dataset& dataset, const DataConfig& config, std::uint64_t seed) {
  const auto& images = *dataset.images;
  const auto total = images.size(Split::train);
  const auto own = images.size(Split::validation);
  const auto wanted = own > 0 ? 0 : config.validation_size;
  if (wanted >= total) {
    throw input_error("config",
                      "data.validation_size: found {}, but {} has {} training images; expected "
                      "fewer, so that some are left to train on",
                      wanted, dataset.folder.string(), total);
  }
  const auto permutation = random_permutation(total, CounterRandom(seed, RandomStream::split));
  const auto classes = static_cast<std::size_t>(dataset.num_classes());
  std::vector<std::int64_t> quota;
  if (config.stratified) {
    std::vector<std::int64_t> sizes(classes, 0);
    for (std::int64_t i = 0; i < total; ++i) {
      ++sizes[static_cast<std::size_t>(images.label(Split::train, i))];
    }
    quota = stratified_counts(sizes, total, wanted);
  }
  SplitIndices indices;
  indices.validation = ascending(own);
  for (const auto index : permutation) {
    bool validates = std::ssize(indices.validation) < wanted;
    if (config.stratified) {
      auto& left = quota[static_cast<std::size_t>(images.label(Split::train, index))];
      validates = left > 0;
      if (validates) --left;
    }
    (validates ? indices.validation : indices.train).push_back(index);
  }
  // The first n of a split are the first n of the permutation; what is left is then sorted, so that
  // the order of an epoch depends on nothing but its own stream.
  limit(indices.train, config.train_limit);
  limit(indices.validation, config.validation_limit);
  std::sort(indices.train.begin(), indices.train.end());
  std::sort(indices.validation.begin(), indices.validation.end());
  indices.test = ascending(images.size(Split::test));
  limit(indices.test, config.test_limit);
  return indices;
}

}  // namespace xception
