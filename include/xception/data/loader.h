#pragma once

#include <torch/types.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "xception/config/config.h"
#include "xception/data/dataset.h"
#include "xception/data/pipeline.h"

namespace xception {

/// A batch on its device, ready for the network.
struct Input {
  torch::Tensor images;   ///< (N, 3, S, S), transformed and normalized
  torch::Tensor targets;  ///< int64 (N), class numbers
  torch::Tensor indices;  ///< int64 (N), the images' indices in their subset of the data set
};

/// Hands over the images of a split batch by batch, epoch by epoch. The order of an epoch and each
/// image's augmentation are functions of (seed, epoch, image index) alone, so that restarts, ranks
/// and the kind of loader change nothing.
class Loader {
 public:
  virtual ~Loader() = default;

  /// Images of an epoch.
  [[nodiscard]] virtual std::int64_t size() const = 0;

  /// Goes to the first image of an epoch (counted from 0).
  virtual void start_epoch(std::int64_t epoch) = 0;

  /// Side of this epoch's images, px.
  [[nodiscard]] virtual std::int64_t image_size() const = 0;

  /// Goes to another place in the epoch: the number of images before it.
  virtual void seek(std::int64_t place) = 0;

  /// The images `offset` to `offset + count - 1` after the place, which stays where it is: a rank,
  /// or a step that divides its batch, reads a part of a batch. Errors: an image cannot be read.
  [[nodiscard]] virtual Input read(std::int64_t offset, std::int64_t count) = 0;

  /// Moves the place on by so many images.
  virtual void advance(std::int64_t count) = 0;

  /// Reads the next images and moves on.
  [[nodiscard]] Input next(std::int64_t count);

  /// Whether read() and advance() may be part of a recorded CUDA graph: then all that changes from
  /// batch to batch, the place included, is in device memory that stays where it is.
  [[nodiscard]] virtual bool recordable() const = 0;
};

/// Whether an epoch's order is random or ascending.
enum class Order { shuffled, ascending };

/// What a loader loads, and as what.
struct LoaderOptions {
  Split split = Split::train;
  std::vector<std::int64_t> indices = {};  ///< of the subset that has the split's images
  Order order = Order::ascending;
  TransformList transforms = TransformList::test;
  torch::ScalarType dtype = torch::kFloat32;  ///< of the images
  bool channels_last = true;
  PixelSteps steps = PixelSteps::fused;
  bool progressive = false;  ///< whether images have the size of the epoch (epoch_image_size)
};

/// Side of training images in an epoch (counted from 0), px: `data.progressive_size` for
/// `data.progressive_start` epochs, then growing linearly, in multiples of 8, up to
/// `data.image_size` from epoch `data.progressive_end` on. As FFCV's resolution ramp
/// (rn50_configs, train_imagenet.py: get_resolution), but for the multiples.
[[nodiscard]] std::int64_t epoch_image_size(const DataConfig& config, std::int64_t epoch);

/// Errors (input): the keys of progressive sizes don't go together. smallest: side that the model
/// can be trained at, px.
void check_progressive_size(const DataConfig& config, std::int64_t smallest);

/// A loader onto `device`: it keeps a subset that has its pixels in memory on the device and
/// transforms it there; of others it reads and transforms image by image in threads of its own, a
/// batch ahead. config: the seed, image size and transforms count. Errors (input): no images; as
/// Pipeline.
[[nodiscard]] std::unique_ptr<Loader> make_loader(const Dataset& dataset, const InputConfig& config,
                                                  const LoaderOptions& options,
                                                  const torch::Device& device);

/// Builds both lists of transforms for their errors (input): as Pipeline, with the data set's image
/// size where it has one; that of training images at their size in the first epoch, too.
void check_transforms(const InputConfig& config, const Dataset& dataset);

}  // namespace xception
