#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "xception/config/config.h"
#include "xception/data/transform.h"

namespace xception {

/// How the images that are resampled along columns become a network's input. But for the order in
/// which a pixel's few weights are summed, and a last bit, the results are the same.
enum class PixelSteps {
  fused,      ///< as one operation (xception/kernels/image_rows.h), wherever it can
  reference,  ///< as LibTorch's, one after another
};

/// Reads a part of a picture: uint8 (height, width, 3), on the CPU.
using PartReader = std::function<torch::Tensor(const Part& part)>;

/// A chain of transforms and the normalisation, applied to whole batches on their device.
///
/// The random numbers of an image are a pure function of (seed, epoch, image index); they are drawn
/// on the host for a whole epoch and lie on the device as a table, so that a step only gathers.
class Pipeline {
 public:
  /// `key`: `augment.train` or `augment.test`, for messages. Errors (input): unknown transform or
  /// option; a chain that doesn't end at image_size x image_size.
  Pipeline(const nlohmann::json& transforms, const std::string& key, const AugmentConfig& config,
           std::int64_t image_size, Size input, const torch::Device& device,
           PixelSteps steps = PixelSteps::fused);

  /// Draws the numbers of one epoch. indices: int64 (n) on the CPU, the images' indices in the
  /// order of the epoch. Returns float32 (n, p) on the device; p may be 0.
  [[nodiscard]] torch::Tensor draw(std::uint64_t seed, std::int64_t epoch,
                                   const torch::Tensor& indices) const;

  /// images: uint8 (N, 3, H, W); drawn: the images' rows of the table, float32 (N, p). Returns
  /// (N, 3, image_size, image_size) of `dtype`, normalised, in the memory format asked for. Pixels
  /// are rounded to whole values of 0 .. 255 after the geometry, as torchvision's uint8 pipeline
  /// does.
  [[nodiscard]] torch::Tensor apply(const torch::Tensor& images, const torch::Tensor& drawn,
                                    torch::ScalarType dtype = torch::kFloat32,
                                    bool channels_last = true) const;

  /// The same of one picture, (1, 3, image_size, image_size), of which only those parts are read
  /// that show in the result, a strip at a time: memory goes by them. drawn: float32 (1, p).
  [[nodiscard]] torch::Tensor apply_to_picture(const PartReader& picture,
                                               const torch::Tensor& drawn,
                                               torch::ScalarType dtype = torch::kFloat32,
                                               bool channels_last = true) const;

  /// The same before normalisation: float32 (N, image_size, image_size, 3), 0 .. 255.
  [[nodiscard]] torch::Tensor transformed(const torch::Tensor& images,
                                          const torch::Tensor& drawn) const;

 private:
  /// What the geometric transforms do together, and each transform's numbers.
  struct Geometry {
    AxisMaps maps;
    std::vector<torch::Tensor> numbers;
  };
  [[nodiscard]] Geometry geometry(const torch::Tensor& drawn) const;
  /// Of the parts that show in the result alone; `source` becomes that of the picture.
  [[nodiscard]] Geometry visible_geometry(const torch::Tensor& drawn, Part& source) const;
  /// From images that are resampled along columns already: float32 (N, H, image_size * 3).
  [[nodiscard]] torch::Tensor pixels(const torch::Tensor& columns, const Geometry& made) const;
  [[nodiscard]] torch::Tensor finish(const torch::Tensor& columns, const Geometry& made,
                                     torch::ScalarType dtype, bool channels_last) const;

  std::vector<std::unique_ptr<Transform>> transforms_;
  std::vector<Size> inputs_;  ///< the size that enters each transform
  Size output_;
  torch::Device device_;
  torch::Tensor scale_;   ///< float32 (3): 1 / (255 std)
  torch::Tensor offset_;  ///< float32 (3): -mean / std
  std::int64_t draws_ = 0;
  bool fused_ = false;
};

}  // namespace xception
