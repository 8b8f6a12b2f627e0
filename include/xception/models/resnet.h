#pragma once

#include <torch/nn/modules/linear.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "xception/models/classifier.h"
#include "xception/models/layers.h"
#include "xception/models/registry.h"

namespace xception {

/// A block of ResNet (He et al., arXiv 1512.03385): convolutions with BatchNorm, ReLU between them
/// and after the sum with the shortcut.
///
/// Children: `conv1`, `bn1`, `conv2`, `bn2`, with a bottleneck `conv3`, `bn3`; where the shape
/// changes `downsample`, whose `0` and `1` are a 1x1 convolution and its BatchNorm; the names of
/// torchvision's BasicBlock and Bottleneck.
class ResNetBlockImpl : public torch::nn::Module {
 public:
  struct Shape {
    std::int64_t in_channels;
    std::int64_t channels;    ///< of the 3x3 convolutions
    std::int64_t stride = 1;  ///< of the first 3x3 convolution
    /// 1x1, 3x3, 1x1 with four times the channels, in place of two 3x3. The stride is the 3x3's
    /// ("v1.5"), where the paper has it in the first 1x1.
    bool bottleneck = false;

    [[nodiscard]] std::int64_t out_channels() const { return bottleneck ? 4 * channels : channels; }
  };

  explicit ResNetBlockImpl(const Shape& shape);

  /// x: (N, in_channels, H, W) -> (N, out_channels, H / stride, W / stride), rounded up
  torch::Tensor forward(const torch::Tensor& x);

 private:
  std::vector<ConvBn> units_;
  std::optional<ConvBn> downsample_;  ///< none: the shortcut is the identity
};
TORCH_MODULE(ResNetBlock);

/// How deep a ResNet is.
struct ResNetDepth {
  std::string name;                    ///< `resnet18`
  std::array<std::int64_t, 4> blocks;  ///< of each of the four stages
  bool bottleneck;
};

/// Those of torchvision without groups or widths of their own, by depth.
[[nodiscard]] const std::array<ResNetDepth, 5>& resnet_depths();

/// ResNet (He et al., arXiv 1512.03385): names, structure and initial values (from the same CPU
/// generator state) of torchvision's `resnet18` to `resnet152`, so that its published weights load
/// by name. Any image of 17 px or more, of which each of the five halvings makes a smaller one;
/// with the small stem of 5 px.
///
/// Reads of the config: num_classes, dropout (default 0: torchvision has none), stem (`small`: a
/// 3x3 `conv1` of stride 1 and no max pooling, as for CIFAR's 32 px images).
class ResNet : public Classifier, public KernelUser {
 public:
  /// Errors (input): unknown variant or stem.
  ResNet(const ResNetDepth& depth, const ModelConfig& config);

 private:
  /// images: (N, 3, H, W) -> logits: (N, num_classes); aux is empty
  ClassifierOutput compute(const torch::Tensor& images) override;

  double dropout_;
  bool small_stem_;
  ConvBn conv1_;
  std::vector<ResNetBlock> blocks_;
  torch::nn::Linear fc_{nullptr};
};

/// The registry's entries, by depth.
[[nodiscard]] std::vector<ModelEntry> resnet_entries();

}  // namespace xception
