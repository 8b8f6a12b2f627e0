#include <algorithm>
#include <array>
#include <sstream>

#include "../cifar10_files.h"
#include "../in_threads.h"
#include "../shards/shard_file.h"
#include "../shards/shard_index.h"
#include "../shards/shard_names.h"
#include "openers.h"
#include "xception/core/error.h"
#include "xception/core/files.h"
#include "xception/core/paths.h"

namespace xception {
namespace {

namespace fs = std::filesystem;

/// The shards of one subset.
struct ShardSubset {
  std::vector<fs::path> files;
  std::vector<std::int64_t> first;  ///< the number of the first image of each
  std::vector<ShardSample> samples;
  std::vector<std::string> digests;
};

class ShardCatalog : public ImageCatalog {
 public:
  explicit ShardCatalog(std::array<ShardSubset, 3> subsets) : subsets_(std::move(subsets)) {}

  [[nodiscard]] std::int64_t size(Split subset) const override {
    return std::ssize(of(subset).samples);
  }
  [[nodiscard]] std::int64_t label(Split subset, std::int64_t index) const override {
    return of(subset).samples[static_cast<std::size_t>(index)].label;
  }
  [[nodiscard]] std::vector<std::int64_t> groups(Split subset) const override {
    return of(subset).first;
  }

  [[nodiscard]] RgbImage read(Split subset, std::int64_t index) const override {
    std::istringstream bytes(bytes_of(subset, index));
    return read_picture(bytes, name_of(subset, index)).stored;
  }

  [[nodiscard]] EncodedImage encoded(Split subset, std::int64_t index) const override {
    return {.bytes = bytes_of(subset, index)};
  }

 private:
  [[nodiscard]] const ShardSubset& of(Split subset) const {
    return subsets_[static_cast<std::size_t>(subset)];
  }

  /// The shard that has an image.
  [[nodiscard]] std::size_t shard_of(Split subset, std::int64_t index) const {
    const auto& first = of(subset).first;
    return static_cast<std::size_t>(std::upper_bound(first.begin(), first.end(), index) -
                                    first.begin() - 1);
  }

  [[nodiscard]] std::string name_of(Split subset, std::int64_t index) const {
    const auto shard = shard_of(subset, index);
    return fmt::format("{}, sample {}", of(subset).files[shard].string(),
                       index - of(subset).first[shard]);
  }

  [[nodiscard]] std::string bytes_of(Split subset, std::int64_t index) const {
    const auto& sample = of(subset).samples[static_cast<std::size_t>(index)];
    const auto file = open_.open(of(subset).files[shard_of(subset, index)]);
    std::string bytes(sample.length, '\0');
    file->read(sample.offset, bytes.data(), bytes.size());
    return bytes;
  }

  std::array<ShardSubset, 3> subsets_;  ///< by Split
  mutable OpenShards open_;
};

ShardSubset open_subset(std::vector<fs::path> files) {
  ShardSubset subset{.files = std::move(files), .first = {}, .samples = {}, .digests = {}};
  std::vector<ShardIndex> indexes(subset.files.size());
  for_each_in_threads(indexes.size(),
                      [&](std::size_t i) { indexes[i] = load_shard_index(subset.files[i]); });
  std::size_t total = 0;
  for (const auto& index : indexes) total += index.samples.size();
  subset.samples.reserve(total);
  for (auto& index : indexes) {
    subset.first.push_back(std::ssize(subset.samples));
    subset.samples.insert(subset.samples.end(), index.samples.begin(), index.samples.end());
    subset.digests.push_back(index.digest);
    index = {};
  }
  return subset;
}

/// The names in classes.txt; without that file, numbers up to the largest label.
std::vector<std::string> class_names(const fs::path& folder,
                                     const std::array<ShardSubset, 3>& subsets) {
  std::vector<std::string> names;
  const auto file = folder / kShardClassesFile;
  std::error_code error;
  const bool named = fs::exists(file, error);
  if (named) {
    names = cifar10::lines_of(read_file(file, "data"));
    if (names.empty() || std::find(names.begin(), names.end(), "") != names.end()) {
      throw input_error("data", "{}: an empty line, expected the name of a class in each",
                        file.string());
    }
  }
  for (const auto& subset : subsets) {
    for (std::size_t i = 0; i < subset.samples.size(); ++i) {
      const auto label = subset.samples[i].label;
      if (label < names.size()) continue;
      if (named) {
        const auto place = static_cast<std::int64_t>(i);
        const auto shard = std::upper_bound(subset.first.begin(), subset.first.end(), place) - 1;
        throw input_error(
            "data", "{}: sample {} has class {}, but {} names {} classes",
            subset.files[static_cast<std::size_t>(shard - subset.first.begin())].string(),
            place - *shard, label, kShardClassesFile, names.size());
      }
      while (names.size() <= label) names.push_back(std::to_string(names.size()));
    }
  }
  return names;
}

}  // namespace

bool is_shards(const fs::path& folder) {
  const auto files = find_shards(folder);
  return std::any_of(files.begin(), files.end(), [](const auto& list) { return !list.empty(); });
}

Dataset open_shards(const DataConfig& config) {
  const auto folder = config.dir.empty() ? fs::path("data") : path_of_text(config.dir);
  auto files = find_shards(folder);
  constexpr auto kTrain = static_cast<std::size_t>(Split::train);
  if (files[kTrain].empty()) {
    throw input_error("data",
                      "{}: no tar files to train on, expected train/*.tar or *train*.tar here",
                      folder.string());
  }
  std::array<ShardSubset, 3> subsets;
  std::string digests;
  for (std::size_t i = 0; i < subsets.size(); ++i) {
    subsets[i] = open_subset(std::move(files[i]));
    digests += split_name(static_cast<Split>(i)) + '\n';
    for (const auto& digest : subsets[i].digests) digests += digest + '\n';
  }
  auto names = class_names(folder, subsets);
  for (const auto& name : names) digests += name + '\n';
  auto absolute = fs::weakly_canonical(folder);
  return {.images = std::make_shared<ShardCatalog>(std::move(subsets)),
          .class_names = std::move(names),
          .name = absolute.filename().string() + " (shards)",
          .checksum = sha256(digests),
          .folder = folder};
}

}  // namespace xception
