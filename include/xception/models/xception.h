#pragma once

#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>

#include <cstdint>
#include <string>
#include <vector>

#include "xception/models/classifier.h"
#include "xception/models/layers.h"
#include "xception/models/registry.h"
#include "xception/models/width.h"

namespace xception {

/// The keys of `model.*` that Xception alone has.
struct XceptionOptions {
  std::int64_t middle_blocks = 8;  ///< blocks of the middle flow
  bool residual = true;            ///< shortcuts around the blocks (paper, Fig. 9)
  std::string separable_order = "depthwise_first";
  std::string intermediate_activation = "none";  ///< between the two convolutions (paper, Fig. 10)
  /// Zeros around an image that a stride of 2 halves: `symmetric` (PyTorch's) or `same`
  /// (TensorFlow's and Keras's: on both sides of an odd size, at the end of an even one).
  std::string padding = "symmetric";
  /// Share of the images for which the last block of the middle flow is its shortcut alone; that of
  /// the block before is smaller, in proportion to its place. In training only.
  /// Huang et al., arXiv 1603.09382, with linear decay; torchvision.ops.StochasticDepth("row").
  double stochastic_depth = 0.0;

  [[nodiscard]] std::vector<Key> keys();
};

/// What distinguishes one Xception from another, apart from the number of channels.
struct XceptionStyle {
  bool notebook = false;  ///< shortcuts: 1x1 with bias, no BatchNorm; stem: with bias and padding
  bool residual = true;   ///< whether there are shortcuts at all
  SeparableOrder order = SeparableOrder::depthwise_first;
  Activation between = Activation::none;  ///< inside the separable convolutions
  bool same_padding = false;              ///< XceptionOptions::padding
};

/// One module of the entry, middle or exit flow: separable convolutions with BatchNorm and ReLU,
/// max pooling where it halves the image, and a linear shortcut around them all.
///
/// Children: `skip`, `skipbn` (where the shape changes; the notebook's has no `skipbn`), `rep`,
/// whose children have the indices that timm's Sequential gives them, activations and pooling
/// counted.
class XceptionBlockImpl : public torch::nn::Module, public KernelUser {
 public:
  struct Shape {
    std::int64_t in_channels;
    std::vector<std::int64_t> channels;  ///< after each separable convolution
    bool halve = false;                  ///< max pooling and a shortcut of stride 2
    bool leading_relu = true;
    double drop = 0.0;  ///< share of the images for which a block that keeps shape is its shortcut
  };

  XceptionBlockImpl(const Shape& shape, const XceptionStyle& style);

  /// x: (N, in_channels, H, W) -> (N, channels.back(), H, W), or half of H and W, rounded up
  torch::Tensor forward(const torch::Tensor& x);

 private:
  /// The shortcut's value, undefined without residual connections.
  torch::Tensor shortcut(const torch::Tensor& x);

  bool residual_;
  bool halve_;
  bool leading_relu_;
  bool same_padding_;
  double drop_;
  torch::nn::Conv2d skip_{nullptr};  ///< empty: the shortcut is the identity
  BatchNorm2d skipbn_{nullptr};
  std::vector<SeparableConvBn> separables_;
};
TORCH_MODULE(XceptionBlock);

/// Xception: a stack of depthwise separable convolutions with linear residual connections.
/// Chollet, arXiv 1610.02357. Any image of 71 px or more; with the small stem 9 px.
///
/// Variants:
/// - `paper`: names, structure and initial values (from the same CPU generator state) of timm's
///   `legacy_xception`, so that its published weights load by name.
/// - `notebook`: the network of "Implementation of Xception from scratch". Stem convolutions with
///   bias and padding 1; shortcut convolutions with bias, without BatchNorm; PyTorch's default
///   initialization. Parameters have the names that they have in `paper`.
///
/// Reads of the config: variant, num_classes, dropout (default 0, as timm's drop_rate; the paper
/// has 0.5 for ImageNet), width, middle_blocks, residual, separable_order,
/// intermediate_activation, padding, stem (`small`: the first two convolutions keep the image's
/// size), stochastic_depth. `width` multiplies the channel counts, rounded to multiples of 8. With
/// other than 8 middle blocks, the exit block is `block{4 + middle_blocks}` instead of `block12`.
class Xception : public Classifier {
 public:
  /// Errors (input): unknown variant, activation or order.
  explicit Xception(const ModelConfig& config);

 private:
  /// images: (N, 3, H, W) -> logits: (N, num_classes); aux is empty
  ClassifierOutput compute(const torch::Tensor& images) override;

  double dropout_;
  bool pad_images_;  ///< before conv1, which then doesn't
  ConvBn conv1_, conv2_;
  std::vector<XceptionBlock> blocks_;
  SeparableConvBn conv3_, conv4_;
  torch::nn::Linear fc_{nullptr};
};

/// The registry's entry.
[[nodiscard]] ModelEntry xception_entry();

}  // namespace xception
