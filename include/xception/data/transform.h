#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "xception/config/keys.h"
#include "xception/core/random.h"

namespace xception {

/// Height and width in pixels.
struct Size {
  std::int64_t height = 0;
  std::int64_t width = 0;
  bool operator==(const Size&) const = default;
};

/// What a chain of resizes, crops and flips does to a batch, as one linear map an axis:
/// output = rows . input . cols^T for each colour. An undefined map is the identity.
struct AxisMaps {
  torch::Tensor rows;  ///< float32 (N or 1, output height, input height)
  torch::Tensor cols;  ///< float32 (N or 1, output width, input width)
};

/// One step of a data pipeline: a geometric one composes onto the maps, another works on pixels
/// after them. A new transform is one source file in `src/data/transforms/` and one line in the
/// table (`src/data/transforms/table.cpp`).
class Transform {
 public:
  virtual ~Transform() = default;

  /// Declares the options, with their defaults.
  virtual void visit(KeyVisitor& visitor) = 0;

  /// The size that leaves for the size that enters. Errors (input): impossible.
  [[nodiscard]] virtual Size output(Size input) const { return input; }

  /// How many random numbers an image needs.
  [[nodiscard]] virtual std::int64_t draws() const { return 0; }

  /// Draws one image's numbers (`draws()` of them), on the host, once an epoch.
  virtual void draw(CounterRandom& /*random*/, Size /*input*/, float* /*numbers*/) const {}

  /// Composes onto the maps of the transforms before. `drawn`: float32 (N, draws()) on the device;
  /// the device's maps must be computed without waiting for it.
  virtual void compose(AxisMaps& /*maps*/, Size /*input*/, const torch::Tensor& /*drawn*/) const {}

  /// Whether there is a step on pixels; without any, the geometry's result goes straight into the
  /// network's input.
  [[nodiscard]] virtual bool changes_pixels() const { return false; }

  /// Changes pixels after the geometry, where changes_pixels() says so: float32 (N, H, W, 3),
  /// 0 .. 255.
  [[nodiscard]] virtual torch::Tensor pixels(const torch::Tensor& images,
                                             const torch::Tensor& /*drawn*/) const {
    return images;
  }
};

/// A transform as the table knows it.
struct TransformEntry {
  std::string name;
  std::string description;  ///< one line, with its reference
  std::function<std::unique_ptr<Transform>(std::int64_t image_size)> make;
};

/// Every transform that a config may name.
[[nodiscard]] const std::vector<TransformEntry>& transform_table();

/// Builds the list of a config key (`augment.train`). Errors (input): unknown name or option.
[[nodiscard]] std::vector<std::unique_ptr<Transform>> build_transforms(const nlohmann::json& list,
                                                                       const std::string& key,
                                                                       std::int64_t image_size);

/// The resampling of `length` pixels from `start` to `output` pixels, out of `input`: bilinear with
/// antialiasing (torchvision v2's and Pillow's triangle filter), nothing taken from outside the
/// box. start, length: float32 (N), whole numbers. Returns float32 (N, output, input), rows summing
/// to 1.
[[nodiscard]] torch::Tensor resample_map(const torch::Tensor& start, const torch::Tensor& length,
                                         std::int64_t output, std::int64_t input);

/// `next` after `previous` (undefined: identity): (N or 1, a, b) x (N or 1, b, c).
[[nodiscard]] torch::Tensor chain(const torch::Tensor& next, const torch::Tensor& previous);

}  // namespace xception
