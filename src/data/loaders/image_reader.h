#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "xception/config/config.h"
#include "xception/core/error.h"
#include "xception/data/dataset.h"

namespace xception {

/// Reads the images of a split for a streamed loader: from memory where all fit into
/// `data.cache_mb`, and another one for a damaged one where `data.on_error` says so. May be called
/// from several threads at once.
class ImageReader {
 public:
  ImageReader(const Dataset& dataset, const DataConfig& config, Split split,
              const std::vector<std::int64_t>& indices);
  /// Says how many images were replaced.
  ~ImageReader();
  ImageReader(const ImageReader&) = delete;
  ImageReader& operator=(const ImageReader&) = delete;

  /// What is done with an image; it may throw what the image's part() throws.
  using Use = std::function<void(OpenImage& image)>;

  /// Calls `use` with the image at `row` of the indices. One that is damaged ends in an error that
  /// names it; or the next one of its class in the indices, cyclically, takes its place, so that
  /// which one that is depends on nothing but the files.
  void read(std::int64_t row, const Use& use);

 private:
  void read_own(std::int64_t row, const Use& use);
  [[nodiscard]] std::unique_ptr<OpenImage> open(std::int64_t row);
  [[nodiscard]] std::unique_ptr<OpenImage> keep(std::int64_t row, std::unique_ptr<OpenImage> image);
  [[nodiscard]] Error named(std::int64_t row, std::exception_ptr problem) const;

  const std::shared_ptr<const ImageCatalog> images_;
  const std::string name_;
  const Split subset_;
  const std::vector<std::int64_t>& indices_;
  const bool skip_;
  const std::int64_t budget_;  ///< bytes
  std::mutex mutex_;
  std::set<std::int64_t> replaced_;                    ///< rows
  std::vector<std::shared_ptr<const RgbImage>> kept_;  ///< by row; empty: none is kept
  std::int64_t kept_images_ = 0, kept_bytes_ = 0;
};

}  // namespace xception
