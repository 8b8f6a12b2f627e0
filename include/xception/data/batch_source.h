#pragma once

#include <torch/types.h>

#include <cstdint>
#include <vector>

#include "xception/data/dataset.h"
#include "xception/data/pipeline.h"

namespace xception {

/// Images on their device, before the transforms.
struct Batch {
  torch::Tensor images;   ///< uint8 (N, 3, H, W)
  torch::Tensor labels;   ///< int64 (N)
  torch::Tensor indices;  ///< int64 (N), the images' places in their file set
  torch::Tensor drawn;    ///< float32 (N, p), the images' random numbers for the pipeline
};

/// Where a step gets its images: a resident set gathers from device memory, a streamed one would
/// decode. Order and random numbers are functions of (seed, epoch, image index), whoever asks.
class BatchSource {
 public:
  virtual ~BatchSource() = default;

  /// Images of an epoch.
  [[nodiscard]] virtual std::int64_t size() const = 0;

  /// Fixes the order and draws the random numbers of an epoch (counted from 0).
  virtual void start_epoch(std::int64_t epoch) = 0;

  /// The images at these places of the epoch's order. positions: int64 (N) on the device.
  [[nodiscard]] virtual Batch at(const torch::Tensor& positions) const = 0;
};

/// Whether an epoch's order is random or ascending.
enum class Order { shuffled, ascending };

/// A set that lies in device memory as uint8; batches are gathered there.
class ResidentSource : public BatchSource {
 public:
  /// indices: the images of `set` that belong to it. The pipeline must outlive the source.
  ResidentSource(const ImageSet& set, const std::vector<std::int64_t>& indices, Order order,
                 std::uint64_t seed, const Pipeline& pipeline, const torch::Device& device);

  [[nodiscard]] std::int64_t size() const override { return indices_.size(0); }
  void start_epoch(std::int64_t epoch) override;
  [[nodiscard]] Batch at(const torch::Tensor& positions) const override;

 private:
  torch::Tensor images_;   ///< uint8 (n, 3, H, W) on the device
  torch::Tensor labels_;   ///< int64 (n) on the device
  torch::Tensor indices_;  ///< int64 (n) on the CPU
  Order order_;
  std::uint64_t seed_;
  const Pipeline& pipeline_;
  torch::Device device_;
  // Of the current epoch, in its order, on the device:
  torch::Tensor rows_;           ///< int64 (n), rows of images_
  torch::Tensor epoch_indices_;  ///< int64 (n)
  torch::Tensor drawn_;          ///< float32 (n, p)
};

}  // namespace xception
