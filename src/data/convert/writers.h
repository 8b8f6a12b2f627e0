#pragma once

#include <atomic>
#include <mutex>

#include "xception/data/convert.h"

// The layouts behind convert.h.
namespace xception {

/// An image as a file's bytes.
struct ImageFile {
  std::string bytes;
  std::string extension;  ///< `jpg`, `png`, `webp`
  bool copied = false;    ///< byte for byte
  bool resized = false;
};

/// Counts what is done, from several threads.
class ConvertCount {
 public:
  ConvertCount(const Dataset& dataset, const ConvertProgress& progress);

  void add_kept(std::int64_t images);
  void add_written(const ImageFile& image);
  [[nodiscard]] Converted result() const;

 private:
  void report();

  const ConvertProgress& progress_;
  mutable std::mutex mutex_;
  std::int64_t total_ = 0;
  Converted done_;
};

/// The data set's own file, or a PNG of the pixels; or of these a smaller image, as
/// ConvertOptions::image_size says. Errors: names the image.
[[nodiscard]] ImageFile image_file(const Dataset& dataset, Split subset, std::int64_t index,
                                   std::int64_t image_size);

/// `train`, `val`, `test`: the folders of subsets.
[[nodiscard]] std::string subset_folder(Split subset);

/// Class names as names of folders: no separators, control characters, leading dots, or names that
/// are too long or come twice.
[[nodiscard]] std::vector<std::string> folder_names(const std::vector<std::string>& class_names);

void write_shards(const Dataset& dataset, const std::filesystem::path& to,
                  const ConvertOptions& options, ConvertCount& count);
void write_folders(const Dataset& dataset, const std::filesystem::path& to,
                   const ConvertOptions& options, ConvertCount& count);
void write_cifar10_layout(const Dataset& dataset, const std::filesystem::path& to,
                          ConvertCount& count);

}  // namespace xception
