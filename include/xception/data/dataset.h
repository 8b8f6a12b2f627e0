#pragma once

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "xception/config/config.h"

namespace xception {

/// Images and labels of one file set, on the CPU.
struct ImageSet {
  torch::Tensor images;  ///< uint8 (n, 3, H, W)
  torch::Tensor labels;  ///< int64 (n)
  [[nodiscard]] std::int64_t size() const { return labels.defined() ? labels.size(0) : 0; }
};

/// A data set as it lies on disk.
struct Dataset {
  ImageSet train;
  ImageSet test;
  std::vector<std::string> class_names;
  std::string name;      ///< says so where the files aren't the original ones
  bool original = true;  ///< false: files in CIFAR-10's layout that aren't the published ones
  std::string checksum;  ///< SHA-256, hexadecimal
  std::filesystem::path folder;  ///< where it was read

  [[nodiscard]] std::int64_t num_classes() const {
    return static_cast<std::int64_t>(class_names.size());
  }
};

/// Reads the data set of the config: `config.dir`, or where that is empty `data/` if the official
/// archive was unpacked there. Errors (input): as read_cifar10; no directory, with what to do.
[[nodiscard]] Dataset load_dataset(const DataConfig& config);

/// A part of the data set that a run uses for one purpose.
enum class Split { train, validation, test };

/// `train`, `validation`, `test`. Errors (input): another name.
[[nodiscard]] Split parse_split(const std::string& name);
[[nodiscard]] std::string split_name(Split split);

/// Which images belong to which split.
struct SplitIndices {
  std::vector<std::int64_t> train;       ///< of Dataset::train
  std::vector<std::int64_t> validation;  ///< of Dataset::train, ascending
  std::vector<std::int64_t> test;        ///< of Dataset::test, ascending

  [[nodiscard]] const std::vector<std::int64_t>& of(Split split) const;
};

/// Draws the validation images without replacement by `seed`, then applies the limits. Errors
/// (input): a split that takes all training images.
[[nodiscard]] SplitIndices split_dataset(const Dataset& dataset, const DataConfig& config,
                                         std::uint64_t seed);

}  // namespace xception
