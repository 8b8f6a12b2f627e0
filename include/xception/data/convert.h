#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "xception/data/dataset.h"

namespace xception {

/// How a data set is written.
struct ConvertOptions {
  std::string format = "shards";      ///< one of convert_formats()
  std::int64_t shard_images = 10000;  ///< images a shard; the last one has fewer
  /// Training images are written to shards in a random order, always the same: what is read
  /// together should be of all classes. Or in the data set's own.
  bool keep_order = false;
  /// px: images whose shorter side is longer are made smaller, so that it has this length, as
  /// torchvision's Resize does it; 0: none is. Not with `cifar10`.
  std::int64_t image_size = 0;
};

/// What conversion did.
struct Converted {
  std::int64_t images = 0;
  std::int64_t kept = 0;     ///< of these, left from an earlier attempt
  std::int64_t copied = 0;   ///< of these, files copied byte for byte
  std::int64_t resized = 0;  ///< of these, made smaller; others are PNG
};

/// Images done of all.
using ConvertProgress = std::function<void(std::int64_t done, std::int64_t total)>;

/// `shards`, `cifar10`, `folder`.
[[nodiscard]] const std::vector<std::string>& convert_formats();

/// Writes all images of a data set to another folder and layout:
/// - shards: train/000000.tar and so on, val/, test/; samples of an image and `cls`; classes.txt;
///   an index beside each shard
/// - folder: train/CLASS/00000000.jpg and so on, val/, test/
/// - cifar10: of ten classes and 32 x 32 px, without validation images
///
/// An image's number in the data set is its name. Image files are copied as they are; images
/// without a file become PNG. One that is made smaller becomes a JPEG of quality 95 if its file is
/// one, else PNG; its EXIF block is lost. Class names become folder names of harmless characters.
///
/// Shards and image files are whole or not there: after an interruption the same call goes on.
/// conversion.json says from what the folder was made. Errors (input): a folder that holds
/// something else, or was made from another data set or by other options; what the layout can't
/// hold. Errors (run): cannot be written.
Converted convert_dataset(const Dataset& dataset, const std::filesystem::path& to,
                          const ConvertOptions& options, const ConvertProgress& progress = {});

}  // namespace xception
