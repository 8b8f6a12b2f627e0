#pragma once

#include <torch/nn/modules/conv.h>
#include <torch/types.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "xception/models/batch_norm.h"
#include "xception/models/fold.h"

namespace xception {

// The units of the networks. A network registers the modules that hold its parameters, and writes
// its forward as a sequence of these units, so that a unit, or two neighbours, can later get
// another implementation without a change to the network or to the names of its parameters.

/// An elementwise nonlinearity, with PyTorch's default constants (elu: alpha 1, leaky_relu: slope
/// 0.01, gelu: the exact one).
enum class Activation { none, relu, elu, gelu, silu, leaky_relu, mish, hardswish };

/// The activation of a name as spelt in the enum. Error (input): unknown name.
[[nodiscard]] Activation parse_activation(std::string_view name);

/// Which convolution of a separable convolution comes first.
enum class SeparableOrder {
  depthwise_first,  ///< as in the paper's network
  pointwise_first,  ///< the paper's "extreme Inception" view
};

/// The order of a name as spelt in the enum. Error (input): unknown name.
[[nodiscard]] SeparableOrder parse_separable_order(std::string_view name);

/// The activation of x, any shape; x itself is left as it is.
[[nodiscard]] torch::Tensor activate(const torch::Tensor& x, Activation activation);

/// BatchNorm, plus the shortcut (left out where undefined), then the activation.
/// x, shortcut: (N, C, H, W) -> the same. One operation with fused kernels, for none and ReLU.
[[nodiscard]] torch::Tensor bn_act(const torch::Tensor& x, BatchNorm2d& bn, Activation activation,
                                   const torch::Tensor& shortcut = {});

/// Max pooling 3x3, stride 2, plus the shortcut (left out where undefined).
/// x: (N, C, H, W) -> (N, C, H', W'), the shape of the shortcut: with padding 1 half of H and W
/// rounded up, with padding 0 half of H - 1 and W - 1 rounded down. Like the other units without
/// parameters, it is told the kernels to use.
[[nodiscard]] torch::Tensor pool_add(const torch::Tensor& x, const torch::Tensor& shortcut,
                                     std::int64_t padding, Kernels kernels);

/// Average over the image. x: (N, C, H, W) -> (N, C).
[[nodiscard]] torch::Tensor global_average_pool(const torch::Tensor& x);

/// A separable convolution: a depthwise 3x3 (padding 1) and a pointwise 1x1 convolution, both
/// without bias, in either order, with an activation between the two.
///
/// Children, in this order for both orders of execution: `conv1` (depthwise), `pointwise`; the
/// names of timm's SeparableConv2d. With pointwise first, `conv1` has as many channels as the
/// output.
///
/// Source: Chollet, Xception, arXiv 1610.02357, sections 1.2 and 4.7.
class SeparableConvImpl : public torch::nn::Module, public KernelUser {
 public:
  SeparableConvImpl(std::int64_t in_channels, std::int64_t out_channels, SeparableOrder order,
                    Activation between);

  /// x: (N, in_channels, H, W) -> (N, out_channels, H, W), of x or, with `before`, of its
  /// activation, which fused kernels do as they read x; x itself is left as it is.
  torch::Tensor forward(const torch::Tensor& x, Activation before = Activation::none);

  /// The same of BatchNorm's and then ReLU's result: with fused kernels, a depthwise convolution
  /// normalises as it reads x.
  torch::Tensor forward_bn_relu(const torch::Tensor& x, BatchNorm2d& bn);

  /// The convolution whose result forward() gives.
  [[nodiscard]] const torch::nn::Conv2d& last() const;

 private:
  /// Whether the fused depthwise convolution comes first and takes x.
  [[nodiscard]] bool fuses(const torch::Tensor& x) const;
  /// What follows a depthwise convolution that came first.
  torch::Tensor after_depthwise(const torch::Tensor& x);

  SeparableOrder order_;
  Activation between_;
  torch::nn::Conv2d conv1_{nullptr}, pointwise_{nullptr};
};
TORCH_MODULE(SeparableConv);

/// A convolution without bias, BatchNorm (eps 1e-3) and ReLU: the unit of Inception V3.
///
/// Children: `conv`, `bn`; the names of torchvision's BasicConv2d.
class ConvBnReluImpl : public torch::nn::Module, public HasNormalizedConvs {
 public:
  /// The options' bias is overruled: there is none.
  explicit ConvBnReluImpl(torch::nn::Conv2dOptions options);

  /// x: (N, in_channels, H, W) -> (N, out_channels, H', W'), as the convolution has it
  torch::Tensor forward(const torch::Tensor& x);

  [[nodiscard]] std::vector<NormalizedConv> normalized_convs() const override;

  // For who merges units.
  [[nodiscard]] torch::nn::Conv2d conv() const { return conv_; }
  [[nodiscard]] BatchNorm2d bn() const { return bn_; }

 private:
  torch::nn::Conv2d conv_{nullptr};
  BatchNorm2d bn_{nullptr};
};
TORCH_MODULE(ConvBnRelu);

/// Draws every convolution's weight below `module`, in the order of registration, from a normal
/// distribution of variance 2 / (out_channels * kernel area): He et al., arXiv 1502.01852, "fan
/// out", as timm has it for Xception. PyTorch's fan out disregards groups, so depthwise weights
/// come out smaller than the formula's intent; kept, to start where timm's network starts.
void init_kaiming_fan_out(torch::nn::Module& module);

/// Draws a tensor from a normal distribution of mean 0, cut off at -2 and 2 (absolute values, not
/// standard deviations), by the inverse of the distribution function, as torchvision does.
void init_truncated_normal(torch::Tensor tensor, double std);

}  // namespace xception
