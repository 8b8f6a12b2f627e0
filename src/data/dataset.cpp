#include "xception/data/dataset.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "xception/core/error.h"
#include "xception/core/paths.h"
#include "xception/core/random.h"
#include "xception/data/cifar10.h"

namespace xception {
namespace {

ImageSet to_tensors(const Cifar10Records& records) {
  const auto n = records.size();
  // from_blob borrows; the clone owns.
  const auto images = torch::from_blob(const_cast<std::uint8_t*>(records.images.data()),
                                       {n, 3, cifar10::kSide, cifar10::kSide},
                                       torch::TensorOptions().dtype(torch::kUInt8))
                          .clone();
  const auto labels = torch::from_blob(const_cast<std::uint8_t*>(records.labels.data()), {n},
                                       torch::TensorOptions().dtype(torch::kUInt8))
                          .to(torch::kInt64);
  return {images, labels};
}

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

Dataset load_dataset(const DataConfig& config) {
  std::filesystem::path folder = path_of_text(config.dir);
  if (folder.empty()) {
    folder = "data";
    if (!std::filesystem::exists(folder / cifar10::kFolder)) {
      throw input_error("data",
                        "no data directory given and no {}/{} here; give --data DIR, or run "
                        "scripts/download_cifar10.sh, or offline: xception data synthesize --out "
                        "data",
                        folder.string(), cifar10::kFolder);
    }
  }
  const auto files = read_cifar10(folder);
  Dataset dataset;
  dataset.train = to_tensors(files.train);
  dataset.test = to_tensors(files.test);
  dataset.class_names = files.class_names;
  dataset.original = files.original;
  dataset.name = files.original                         ? files.name
                 : files.name == cifar10::kOfficialName ? cifar10::kOtherLabel
                                                        : files.name + ", not the original files";
  dataset.checksum = files.checksum;
  dataset.folder = folder;
  return dataset;
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
  const std::int64_t total = dataset.train.size();
  if (config.validation_size >= total) {
    throw input_error("config",
                      "data.validation_size: found {}, but {} has {} training images; expected "
                      "fewer, so that some are left to train on",
                      config.validation_size, dataset.folder.string(), total);
  }
  const auto permutation = random_permutation(total, CounterRandom(seed, RandomStream::split));
  const auto classes = static_cast<std::size_t>(dataset.num_classes());
  std::vector<std::int64_t> quota;
  if (config.stratified) {
    std::vector<std::int64_t> sizes(classes, 0);
    const auto* labels = dataset.train.labels.const_data_ptr<std::int64_t>();
    for (std::int64_t i = 0; i < total; ++i) ++sizes[static_cast<std::size_t>(labels[i])];
    quota = stratified_counts(sizes, total, config.validation_size);
  }
  SplitIndices indices;
  for (const auto index : permutation) {
    const auto taken = static_cast<std::int64_t>(indices.validation.size());
    bool validates = taken < config.validation_size;
    if (config.stratified) {
      auto& left = quota[static_cast<std::size_t>(
          dataset.train.labels.const_data_ptr<std::int64_t>()[index])];
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
  indices.test = ascending(dataset.test.size());
  limit(indices.test, config.test_limit);
  return indices;
}

}  // namespace xception
