#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "xception/config/keys.h"
#include "xception/core/random.h"
#include "xception/data/taps.h"

namespace xception {

/// Height and width in pixels.
struct Size {
  std::int64_t height = 0;
  std::int64_t width = 0;
  bool operator==(const Size&) const = default;
};

/// A part of an image: `size` pixels from (top, left) on.
struct Part {
  std::int64_t top = 0;
  std::int64_t left = 0;
  Size size = {};
  bool operator==(const Part&) const = default;
};

/// What a chain of resizes, crops and flips does to a batch, as one linear map an axis:
/// output = rows . input . cols^T for each color. An undefined map is the identity.
struct AxisMaps {
  torch::Tensor rows;  ///< float32 (N or 1, output height, input height)
  torch::Tensor cols;  ///< float32 (N or 1, output width, input width)
};

/// Which image's numbers are drawn, and for when.
struct Draw {
  CounterRandom& random;  ///< of this image in this epoch
  std::uint64_t seed = 0;
  std::int64_t epoch = 0;
  std::int64_t index = 0;  ///< of the image in its subset
};

/// What sets a rectangle of an image to a value, after the normalization.
struct Erasing {
  double value = 0.0;  ///< normalized: 0 is the mean
};

/// One step of a data pipeline, of one of three kinds. A geometric one composes onto the maps of
/// those before. One that works on pixels gets what the steps before it made. One that erases sets
/// a rectangle of the finished, normalized image, so only others of its kind come after it. A new
/// transform is one source file in `src/data/transforms/` and one line in the table
/// (`src/data/transforms/table.cpp`).
class Transform {
 public:
  virtual ~Transform() = default;

  /// The options, at their defaults until they are read.
  [[nodiscard]] virtual std::vector<Key> keys() = 0;

  /// The size that leaves for the size that enters. Errors (input): impossible.
  [[nodiscard]] virtual Size output(Size input) const { return input; }

  /// How many random numbers an image needs.
  [[nodiscard]] virtual std::int64_t draws() const { return 0; }

  /// Draws one image's numbers (`draws()` of them), on the host, once an epoch: a function of
  /// (seed, epoch, image index, size).
  virtual void draw(const Draw& /*image*/, Size /*input*/, float* /*numbers*/) const {}

  /// Composes onto the maps of the transforms before. `drawn`: float32 (N, draws()) on the device;
  /// the device's maps must be computed without waiting for it.
  virtual void compose(AxisMaps& /*maps*/, Size /*input*/, const torch::Tensor& /*drawn*/) const {}

  /// The part of the input, at least a pixel, on which a part of the output depends. A transform
  /// that doesn't say needs all of it.
  [[nodiscard]] virtual Part source(Size input, const Part& /*output*/) const {
    return {0, 0, input};
  }

  /// compose() for a part `to` of the output, where the maps so far give the part `from` of the
  /// input, that which source() named. Memory need not grow with what lies outside of the parts.
  virtual void compose_part(AxisMaps& maps, Size input, const Part& from, const Part& to,
                            const torch::Tensor& drawn) const;

  /// compose() of one image on the CPU, for the loaders' speed; `numbers`: its draws(). Without an
  /// override it takes what compose() gives, which is slower.
  virtual void compose_taps(Taps& rows, Taps& cols, Size input, const float* numbers) const;

  /// Whether it works on pixels.
  [[nodiscard]] virtual bool changes_pixels() const { return false; }

  /// Changes pixels, where changes_pixels() says so. images: uint8 (N, H, W, 3), which may be
  /// changed in place; drawn: float32 (N, draws()) on the same device. Decides nothing on the host,
  /// but on a CPU may leave out what none of the images needs.
  [[nodiscard]] virtual torch::Tensor pixels(const torch::Tensor& images,
                                             const torch::Tensor& /*drawn*/) const {
    return images;
  }

  /// What it erases, if it is of that kind. Its numbers are then top, left, height and width of
  /// the rectangle in px, inside the image; a height of 0 erases nothing.
  [[nodiscard]] virtual std::optional<Erasing> erases() const { return std::nullopt; }
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

/// The resampling of all of `input` pixels to `output` pixels: of that, what takes the source
/// pixels `from` to the pixels `to`. options: of the result, float32 (1, to.count, from.count).
[[nodiscard]] torch::Tensor resample_map(std::int64_t input, std::int64_t output, Span from,
                                         Span to, const torch::TensorOptions& options);

/// The source pixels on which the pixels `to` of that resampling depend, and a pixel more at each
/// end, inside `input`.
[[nodiscard]] Span resample_source(std::int64_t input, std::int64_t output, Span to);

/// `next` after `previous` (undefined: identity): (N or 1, a, b) x (N or 1, b, c).
[[nodiscard]] torch::Tensor chain(const torch::Tensor& next, const torch::Tensor& previous);

}  // namespace xception
