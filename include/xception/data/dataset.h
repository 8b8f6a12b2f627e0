#pragma once

#include <torch/types.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "xception/config/config.h"
#include "xception/data/image_io.h"

namespace xception {

/// A part of the data set that a run uses for one purpose.
enum class Split { train, validation, test };

/// `train`, `validation`, `test`. Errors (input): another name.
[[nodiscard]] Split parse_split(const std::string& name);
[[nodiscard]] std::string split_name(Split split);

/// An image as its file has it.
struct EncodedImage {
  std::string bytes = {};  ///< JPEG, PNG or WebP; empty: there is no such file
};

/// The labeled images of a data set, which need not be in memory. An image is named by a subset of
/// the files (train, test and, in some data sets, validation) and its index there. Every function
/// may be called from several threads at once.
class ImageCatalog {
 public:
  virtual ~ImageCatalog() = default;

  /// Number of images in a subset; 0 if the data set doesn't have it.
  [[nodiscard]] virtual std::int64_t size(Split subset) const = 0;

  /// The class number of an image, known without reading it.
  [[nodiscard]] virtual std::int64_t label(Split subset, std::int64_t index) const = 0;

  /// Reads and decodes an image, of any size. May throw: whoever reads adds which image it was.
  [[nodiscard]] virtual RgbImage read(Split subset, std::int64_t index) const = 0;

  /// An image's file, undecoded, so that it can be copied as it is. Empty where the data set has no
  /// file of its own for each. May throw: as read.
  [[nodiscard]] virtual EncodedImage encoded(Split /*subset*/, std::int64_t /*index*/) const {
    return {};
  }

  /// Where images come in groups that are quick to read one after another (shards): the index of
  /// the first image of each, ascending from 0. Empty: every order is as quick.
  [[nodiscard]] virtual std::vector<std::int64_t> groups(Split /*subset*/) const { return {}; }

  /// The same image, of which a part may be decoded. May throw as read().
  [[nodiscard]] virtual std::unique_ptr<OpenImage> open(Split subset, std::int64_t index) const {
    return open_image(std::make_shared<RgbImage>(read(subset, index)));
  }

  /// A subset whose images are in memory and of one size: uint8 (n, 3, H, W) on the CPU, shared,
  /// not copied. Otherwise undefined; such a subset is read image by image.
  [[nodiscard]] virtual torch::Tensor pixels(Split /*subset*/) const { return {}; }
};

/// Images and labels of one subset in memory, on the CPU.
struct ImageSet {
  torch::Tensor images;  ///< uint8 (n, 3, H, W)
  torch::Tensor labels;  ///< int64 (n)
};

/// A catalog of images in memory, of one size, without a validation subset of its own.
[[nodiscard]] std::shared_ptr<const ImageCatalog> in_memory(ImageSet train, ImageSet test = {});

/// A data set: its images and what is known of all of them. Copies share the images.
struct Dataset {
  std::shared_ptr<const ImageCatalog> images = {};
  std::vector<std::string> class_names = {};
  std::string name = {};      ///< says so where the files aren't the original ones
  bool original = true;       ///< false: files in CIFAR-10's layout that aren't the published ones
  std::string checksum = {};  ///< SHA-256, hexadecimal: the same for the same images and labels
  std::filesystem::path folder = {};  ///< where it was read
  std::string format = {};            ///< the name of the format that read it; load_dataset sets it
  /// What a user should hear of, a line each: files that were left out.
  std::vector<std::string> notes = {};

  [[nodiscard]] std::int64_t num_classes() const {
    return static_cast<std::int64_t>(class_names.size());
  }

  /// The subset that has the images of a split: validation images are training images where the
  /// data set brings no validation subset.
  [[nodiscard]] Split subset_of(Split split) const;
};

/// A value of `data.format`.
struct DatasetFormat {
  std::string name;
  std::string description;  ///< one line: which files a folder of it has
  std::function<Dataset(const DataConfig& config)> open;
  /// Whether a folder looks like this format, by the names of its files alone: for `auto`.
  std::function<bool(const std::filesystem::path& folder)> recognizes;
};

/// All formats. A new one is a source file in `src/data/formats/` and a line in its `table.cpp`.
[[nodiscard]] const std::vector<DatasetFormat>& dataset_formats();

/// Opens the data set of the config by `config.format`. With `auto`, the first format that
/// recognizes the folder reads it. `config.dir` is the folder; where that is empty, `data`. Errors
/// (input): an unknown format; no directory, with what to do; a folder that no format recognizes;
/// what the format's reader finds wrong.
[[nodiscard]] Dataset load_dataset(const DataConfig& config,
                                   const std::vector<DatasetFormat>& formats = dataset_formats());

/// Which images belong to which split: indices in `Dataset::subset_of(split)`.
struct SplitIndices {
  std::vector<std::int64_t> train;       ///< ascending
  std::vector<std::int64_t> validation;  ///< ascending
  std::vector<std::int64_t> test;        ///< ascending

  [[nodiscard]] const std::vector<std::int64_t>& of(Split split) const;
};

/// Takes the data set's own validation images, or draws `config.validation_size` training images
/// without replacement by `seed`; then applies the limits. Errors (input): no image is left to
/// train on.
[[nodiscard]] SplitIndices split_dataset(const Dataset& dataset, const DataConfig& config,
                                         std::uint64_t seed);

}  // namespace xception
