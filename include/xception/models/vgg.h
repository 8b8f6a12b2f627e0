#pragma once

#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <vector>

#include "xception/models/classifier.h"
#include "xception/models/layers.h"
#include "xception/models/registry.h"

namespace xception {

/// VGG of 16 layers (Simonyan and Zisserman, arXiv 1409.1556, configuration D): names, structure
/// and initial values (from the same CPU generator state) of torchvision's `vgg16` and `vgg16_bn`,
/// so that its published weights load by name. Any image of 32 px or more: five halvings, then the
/// average of 7 x 7 parts of the image (below 224 px parts share pixels).
///
/// Reads of the config: num_classes, dropout (default 0.5, after each of the two hidden layers).
class Vgg16 : public Classifier {
 public:
  /// Errors (input): unknown variant.
  Vgg16(bool batch_norm, const ModelConfig& config);

 private:
  /// A convolution and ReLU, with BatchNorm in between or not; then perhaps max pooling.
  struct Step {
    torch::nn::Conv2d conv{nullptr};  ///< without BatchNorm; else empty
    ConvBn unit;                      ///< with it
    bool pool = false;                ///< 2x2, stride 2
  };

  /// images: (N, 3, H, W) -> logits: (N, num_classes); aux is empty
  ClassifierOutput compute(const torch::Tensor& images) override;

  double dropout_;
  std::vector<Step> steps_;
  std::vector<torch::nn::Linear> linears_;
};

/// The registry's entries, without and with BatchNorm.
[[nodiscard]] std::vector<ModelEntry> vgg_entries();

}  // namespace xception
