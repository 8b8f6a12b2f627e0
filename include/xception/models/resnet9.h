#pragma once

#include <torch/nn/modules/linear.h>

#include <vector>

#include "xception/models/classifier.h"
#include "xception/models/layers.h"
#include "xception/models/registry.h"
#include "xception/models/width.h"

namespace xception {

/// ResNet-9: David Page's network for CIFAR-10's 32 px, which won DAWNBench's time to 94 % in 2019
/// (github.com/davidcpage/cifar10-fast; "How to train your ResNet"). Units of a 3x3 convolution,
/// BatchNorm and ReLU: `prep` of 64 channels; `layer1`, `layer2`, `layer3` of 128, 256 and 512,
/// each halved by 2x2 max pooling; after the first and the third two more, whose result is added to
/// what they read. Then the maximum over the image, a linear layer without bias, and a factor of
/// 0.125. PyTorch's default initial values. Any image of 8 px or more.
///
/// Children: `prep`, `layer1` to `layer3`, each with `conv` and `bn`; `layer1.residual` and
/// `layer3.residual` with `res1` and `res2`, of `conv` and `bn`: his names, but for the linear
/// layer, which is `fc` as in the other networks here.
///
/// Reads of the config: num_classes, dropout (default 0; he has none), width.
class ResNet9 : public Classifier {
 public:
  /// Errors (input): unknown variant.
  explicit ResNet9(const ModelConfig& config);

 private:
  struct Stage {
    ConvBn unit;
    std::vector<ConvBn> residual;  ///< two, or none
  };

  /// images: (N, 3, H, W) -> logits: (N, num_classes); aux is empty
  ClassifierOutput compute(const torch::Tensor& images) override;

  double dropout_;
  ConvBn prep_;
  std::vector<Stage> stages_;
  torch::nn::Linear fc_{nullptr};
};

/// The registry's entry.
[[nodiscard]] ModelEntry resnet9_entry();

}  // namespace xception
