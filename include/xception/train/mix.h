#pragma once

#include <torch/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "xception/config/keys.h"
#include "xception/data/loader.h"

namespace xception {

/// `mix.*`: training images that are mixed with others of their batch.
struct MixConfig {
  double mixup_alpha = 0.0;         ///< 0: no mixup
  double cutmix_alpha = 0.0;        ///< 0: no CutMix
  double probability = 1.0;         ///< that a batch is mixed
  double switch_probability = 0.5;  ///< that it is CutMix, where both are on

  [[nodiscard]] bool is_on() const { return mixup_alpha > 0 || cutmix_alpha > 0; }
  [[nodiscard]] std::vector<Key> keys();
};

/// Refuses settings that can't be meant together. Errors (input).
void check_mix(const MixConfig& config);

/// The choice in a line: `mixup 0.2 or CutMix 1 (probability 0.5)`; empty for none.
[[nodiscard]] std::string describe_mix(const MixConfig& config);

/// Mixes each image with the one before it in the batch, the first with the last, as
/// torchvision.transforms.v2.MixUp does: images * share + images.roll(1) * (1 - share). Targets
/// become shares of classes, float32 (N, classes). share: of the image itself, a scalar tensor on
/// the device.
void mixup(Input& batch, const torch::Tensor& share, std::int64_t classes);

/// A rectangle of an image, int64 scalars on the device: rows top to bottom - 1, columns left to
/// right - 1.
struct MixBox {
  torch::Tensor top, bottom, left, right;
};

/// The box of torchvision.transforms.v2.CutMix: centered at (y, x), with the area 1 - share of an
/// image of height x width, cut off at its border. share: float32 scalar; y, x: int64 scalars.
[[nodiscard]] MixBox cutmix_box(const torch::Tensor& share, const torch::Tensor& y,
                                const torch::Tensor& x, std::int64_t height, std::int64_t width);

/// Puts the box of the image before into each, as torchvision.transforms.v2.CutMix does (Yun et
/// al., arXiv 1905.04899); targets become shares by the box's area.
void cutmix(Input& batch, const MixBox& box, std::int64_t classes);

/// A hook of the step (StepHooks::on_batch) that mixes batches, by random numbers on the device of
/// LibTorch's default generator: whether a batch is mixed, by which of the two (as timm's Mixup in
/// its mode `batch`), and how. Each draws the same random numbers, whatever comes of them.
[[nodiscard]] std::function<void(Input& batch)> make_mix(const MixConfig& config,
                                                         std::int64_t classes,
                                                         const torch::Device& device);

}  // namespace xception
