#pragma once

#include <torch/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "xception/models/classifier.h"

namespace xception {

/// A view of an image, for test-time augmentation: the finished input of the network, changed once
/// more.
struct View {
  bool mirrored = false;
  std::int64_t down = 0, right = 0;  ///< px that the image is moved by, its border reflected
  std::int64_t size = 0;             ///< px that it is resized to; 0: it isn't
  bool operator==(const View&) const = default;
};

/// The choices of `--tta`.
[[nodiscard]] const std::vector<std::string>& view_choices();

/// The views of a choice, the first of which is the image itself; none for `none`.
///   flip         the image and its mirror image
///   flip+crops   also moved by a sixteenth of its side into each corner, mirrored too: 10 views,
///                those of torchvision's TenCrop of an image with a reflected border
///   multi-scale  at 7/8, 1 and 9/8 of its side, mirrored too: 6 views; not below `smallest`
/// image_size: side of the network's input, px. smallest: that the model takes, px. Errors (input):
/// unknown choice.
[[nodiscard]] std::vector<View> views_of(const std::string& choice, std::int64_t image_size,
                                         std::int64_t smallest);

/// images: (N, 3, S, S), normalized. Resizing is bilinear with antialiasing, as
/// torch.nn.functional.interpolate(antialias=True).
[[nodiscard]] torch::Tensor view_of(const torch::Tensor& images, const View& view);

/// The mean over views of each image's probabilities (softmax in float32, not of logits): float32
/// (N, classes). logits: of the images themselves, which aren't computed again. Called as
/// Classifier::forward is: in evaluation mode, without gradients, under autocast if there is any.
[[nodiscard]] torch::Tensor view_probabilities(Classifier& model, const torch::Tensor& images,
                                               const torch::Tensor& logits,
                                               const std::vector<View>& views);

}  // namespace xception
