#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "xception/config/config.h"
#include "xception/data/transform.h"

namespace xception {

enum class FirstAxis;

/// How the images that are resampled along columns become a network's input. `fused` and
/// `reference` give the same results but for the order in which a pixel's few weights are summed,
/// and a last bit.
enum class PixelSteps {
  fused,         ///< as one operation (xception/kernels/image_rows.h), wherever it can
  reference,     ///< as LibTorch's, one after another
  unnormalized,  ///< as reference, but the pixels stay 0 .. 255, for people to look at
};

/// Which of a config's lists of transforms: `augment.train` or `augment.test`.
enum class TransformList { train, test };

/// Reads a part of a picture: uint8 (height, width, 3), on the CPU.
using PartReader = std::function<torch::Tensor(const Part& part)>;

/// A list of transforms and the normalization, applied to whole batches or single pictures on a
/// device. Geometric transforms that follow each other are one resampling; those that work on
/// pixels come between two of these, in the list's order. It takes images of every size that the
/// transforms bring to the network's.
///
/// The random numbers of an image are a pure function of (seed, epoch, image index, image size),
/// drawn on the CPU, so that they can be ready on the device before a batch needs them. Functions
/// may be called from several threads at once.
class Pipeline {
 public:
  /// Reads `config.augment` and `config.data.image_size`. Errors (input): unknown transform or
  /// option; one that erases comes before one that doesn't.
  Pipeline(const InputConfig& config, TransformList list, const torch::Device& device,
           PixelSteps steps = PixelSteps::fused);

  /// Errors (input): images of this size don't end at image_size x image_size; nor do they in any
  /// function below.
  void check(Size input) const { (void)sizes(input); }

  /// Draws the random numbers of images in one epoch. indices: int64 (n) on the CPU, the images'
  /// indices in their subset; input: their size. Returns float32 (n, p) on the device; p may be 0.
  [[nodiscard]] torch::Tensor draw(std::uint64_t seed, std::int64_t epoch,
                                   const torch::Tensor& indices, Size input) const;

  /// images: uint8 (N, 3, H, W); drawn: their random numbers, float32 (N, p). Returns
  /// (N, 3, image_size, image_size) of `dtype`, normalized, in the memory format asked for. Pixels
  /// are rounded to whole values of 0 .. 255 after each resampling, as torchvision's uint8 pipeline
  /// does.
  [[nodiscard]] torch::Tensor apply(const torch::Tensor& images, const torch::Tensor& drawn,
                                    torch::ScalarType dtype = torch::kFloat32,
                                    bool channels_last = true) const;

  /// What the transforms do to one image, in a form for CPUs.
  struct Plan {
    /// A resampling.
    struct Axes {
      Taps rows, cols;
    };
    std::vector<Axes> resamplings;  ///< one, and another after each run of transforms on pixels
    Part source;                    ///< the pixels that are read
    torch::Tensor drawn;            ///< float32 (1, p)
  };

  /// Whether plan() and apply_plan() may be used: on the CPU, with `fused` or `unnormalized` steps.
  /// apply() then uses them, so that both give the same bits.
  [[nodiscard]] bool planned() const { return planned_; }

  /// drawn: the image's random numbers, float32 (1, p).
  [[nodiscard]] Plan plan(const torch::Tensor& drawn, Size input) const;

  /// pixels: those of `plan.source`, row by row, red first. to: (3, image_size, image_size), such
  /// as an image of a batch; of any dtype, contiguous or channels last.
  void apply_plan(const Plan& plan, const std::uint8_t* pixels, const torch::Tensor& to) const;

  /// What apply() gives of one picture, (1, 3, image_size, image_size), of which only those parts
  /// are read that show in the result, a strip at a time: memory goes by them. drawn: float32 (1,
  /// p).
  [[nodiscard]] torch::Tensor apply_to_picture(const PartReader& picture, Size size,
                                               const torch::Tensor& drawn,
                                               torch::ScalarType dtype = torch::kFloat32,
                                               bool channels_last = true) const;

 private:
  /// Transforms that follow each other: those from `first` on are geometric, those from `pixels` on
  /// work on pixels, up to `end`.
  struct Stage {
    std::size_t first = 0, pixels = 0, end = 0;
  };
  /// The size that enters each transform, and that which leaves the last.
  [[nodiscard]] std::vector<Size> sizes(Size input) const;
  void divide();
  /// The numbers of one transform. drawn: float32 (N, p).
  [[nodiscard]] torch::Tensor numbers(const torch::Tensor& drawn, std::size_t transform) const;
  /// What a stage's geometric transforms do together.
  [[nodiscard]] AxisMaps geometry(const Stage& stage, const torch::Tensor& drawn,
                                  const std::vector<Size>& inputs) const;
  /// Of the parts alone that show in what leaves them; `source` becomes that of what enters.
  [[nodiscard]] AxisMaps visible_geometry(const Stage& stage, const torch::Tensor& drawn,
                                          const std::vector<Size>& inputs, Part& source) const;
  /// Runs a stage's transforms on pixels: uint8 (N, H, W, 3).
  [[nodiscard]] torch::Tensor change_pixels(const Stage& stage, torch::Tensor images,
                                            const torch::Tensor& drawn) const;
  /// Fills rectangles of normalized images, (N, 3, image_size, image_size), in place.
  void erase(const torch::Tensor& images, const torch::Tensor& drawn) const;
  /// The stages from number `stage` on, the resampling of that one given its columns already:
  /// float32 (N, H, W * 3).
  [[nodiscard]] torch::Tensor finish(std::size_t stage, torch::Tensor columns, AxisMaps maps,
                                     const torch::Tensor& drawn, const std::vector<Size>& inputs,
                                     torch::ScalarType dtype, bool channels_last) const;
  /// One resampling, its last the normalization too, or else to pixels. to: (3, H, W).
  void resample(const Plan::Axes& axes, FirstAxis first, const std::uint8_t* pixels,
                bool normalized, const torch::Tensor& to) const;
  /// The rest of a plan after its first resampling, which gave uint8 (1, H, W, 3).
  void finish_plan(const Plan& plan, torch::Tensor pixels, const torch::Tensor& to) const;
  void apply_in_strips(const PartReader& picture, const Plan& plan, const torch::Tensor& to) const;
  [[nodiscard]] torch::Tensor apply_plans(const torch::Tensor& images, const torch::Tensor& drawn,
                                          torch::ScalarType dtype, bool channels_last) const;

  std::string key_;  ///< `augment.train` or `augment.test`
  std::vector<std::unique_ptr<Transform>> transforms_;
  std::vector<std::int64_t> columns_;  ///< the first number of each transform
  std::vector<Stage> stages_;          ///< the last without transforms on pixels
  std::size_t erasing_ = 0;            ///< the first transform that erases
  Size output_;
  torch::Device device_;
  torch::Tensor scale_;                      ///< float32 (3): 1 / (255 std)
  torch::Tensor offset_;                     ///< float32 (3): -mean / std
  std::vector<std::vector<double>> erased_;  ///< red, green, blue of each transform that erases
  std::int64_t draws_ = 0;
  bool fused_ = false;
  bool planned_ = false;
};

}  // namespace xception
