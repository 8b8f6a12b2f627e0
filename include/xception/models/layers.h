#pragma once

#include <torch/nn/modules/conv.h>
#include <torch/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "xception/models/batch_norm.h"

namespace xception {

// The units of the networks. A network registers the modules that hold its parameters, and writes
// its forward pass as a sequence of these units, so that a unit, or two neighbors, can have another
// implementation without a change to the network or to the names of its parameters.

/// An elementwise nonlinearity, with PyTorch's default constants (elu: alpha 1, leaky_relu: slope
/// 0.01, gelu: the exact one). A new one is a line of the table in layers.cpp, and nothing else.
struct Activation {
  std::string_view name;
  torch::Tensor (*function)(const torch::Tensor& x);

  /// Any shape -> the same; x itself is left as it is.
  torch::Tensor operator()(const torch::Tensor& x) const { return function(x); }
  bool operator==(const Activation& other) const { return name == other.name; }

  static const Activation none, relu;  ///< those that fused operations do
};

/// The names of all, `none` first.
[[nodiscard]] std::vector<std::string> activation_names();

/// The activation of a name. Error (input): unknown name.
[[nodiscard]] Activation parse_activation(std::string_view name);

/// Which convolution of a separable convolution comes first.
enum class SeparableOrder {
  depthwise_first,  ///< as in the paper's network
  pointwise_first,  ///< the paper's "extreme Inception" view
};

/// The order of a name as spelled in the enum. Error (input): unknown name.
[[nodiscard]] SeparableOrder parse_separable_order(std::string_view name);

/// An image on its way from one unit to the next, with what is still to be done to it: BatchNorm,
/// then an activation. A fused operation does them while it reads the image; anybody else asks for
/// value(). Read it once: each reading computes again, and in training updates BatchNorm's running
/// statistics.
struct Features {
  // Implicit: an image to which nothing is to be done.
  Features(torch::Tensor image, BatchNorm2dImpl* bn = nullptr) : x(std::move(image)), norm(bn) {}

  /// BatchNorm, plus the shortcut (left out where undefined), then the activation.
  /// (N, C, H, W); the shortcut has the same shape. One operation with fused kernels.
  [[nodiscard]] torch::Tensor value(const torch::Tensor& shortcut = {}) const;

  torch::Tensor x;        ///< (N, C, H, W)
  BatchNorm2dImpl* norm;  ///< or nullptr; the network's, which outlives these
  Activation activation = Activation::none;
};

/// The ReLU of features that have no activation yet, done by who reads them.
[[nodiscard]] Features relu(Features features);

/// Max pooling 3x3, stride 2, of the features' value, plus the shortcut (left out where undefined);
/// on a GPU one operation with fused kernels.
/// x: (N, C, H, W) -> (N, C, H', W'), the shape of the shortcut: with padding 1 half of H and W
/// rounded up, with padding 0 half of H - 1 and W - 1 rounded down. Like the other units without
/// parameters, it is told the kernels to use.
[[nodiscard]] torch::Tensor pool_add(const Features& x, const torch::Tensor& shortcut,
                                     std::int64_t padding, Kernels kernels);

/// The same padded as TensorFlow's and Keras's `same` does: half of H and W, rounded up. Where H
/// and W are odd it is pool_add with padding 1.
[[nodiscard]] torch::Tensor pool_add_same(const Features& x, const torch::Tensor& shortcut,
                                          Kernels kernels);

/// What TensorFlow's `same` adds around an image for a 3x3 window of stride 2: a pixel at the end
/// of H and W, and one at the beginning where they are odd. x: (N, C, H, W), values of the pixels:
/// `value`.
[[nodiscard]] torch::Tensor same_padded(const torch::Tensor& x, double value);

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

  /// (N, in_channels, H, W) -> (N, out_channels, H, W). With fused kernels, a depthwise convolution
  /// that comes first normalizes and activates as it reads.
  /// beside: where not null, the image that x is without its activation, for those who read it too;
  /// on a GPU it may become another tensor with the same values, whose gradient costs less.
  torch::Tensor forward(const Features& x, torch::Tensor* beside = nullptr);

  /// The convolution whose result forward() gives.
  [[nodiscard]] const torch::nn::Conv2d& last() const;

 private:
  /// Whether the fused depthwise convolution takes x.
  [[nodiscard]] bool can_fuse(const torch::Tensor& x) const;
  torch::Tensor depthwise(const Features& x, torch::Tensor* beside);
  torch::Tensor pointwise(const torch::Tensor& x);

  SeparableOrder order_;
  Activation between_;
  torch::nn::Conv2d conv1_{nullptr}, pointwise_{nullptr};
};
TORCH_MODULE(SeparableConv);

/// A convolution (torch::nn::Conv2d or SeparableConv) and the BatchNorm of its result. The unit is
/// no module: both are children of the module that has it, under the names that it gives them,
/// since parameters have the names of published weights.
template <typename Convolution>
class WithBatchNorm {
 public:
  WithBatchNorm() = default;
  WithBatchNorm(torch::nn::Module& parent, const std::string& name, const Convolution& convolution,
                const std::string& norm_name, double eps = 1e-5)
      : convolution_(parent.register_module(name, convolution)),
        norm_(parent.register_module(norm_name, BatchNorm2d(last(), eps))) {}

  /// (N, in_channels, H, W) -> (N, out_channels, H', W'), as the convolution has it, and the
  /// BatchNorm still to be done. beside: as for SeparableConv.
  [[nodiscard]] Features forward(const Features& x,
                                 [[maybe_unused]] torch::Tensor* beside = nullptr) {
    if constexpr (std::is_same_v<Convolution, SeparableConv>) {
      return {convolution_->forward(x, beside), norm_.get()};
    } else {
      return {convolution_->forward(x.value()), norm_.get()};
    }
  }

  /// The convolution that the BatchNorm follows.
  [[nodiscard]] const torch::nn::Conv2d& last() const {
    if constexpr (std::is_same_v<Convolution, SeparableConv>) {
      return convolution_->last();
    } else {
      return convolution_;
    }
  }
  [[nodiscard]] BatchNorm2d norm() const { return norm_; }

 private:
  Convolution convolution_{nullptr};
  BatchNorm2d norm_{nullptr};
};
using ConvBn = WithBatchNorm<torch::nn::Conv2d>;
using SeparableConvBn = WithBatchNorm<SeparableConv>;

/// A convolution without bias, BatchNorm (eps 1e-3) and ReLU: the unit of Inception V3.
///
/// Children: `conv`, `bn`; the names of torchvision's BasicConv2d.
class ConvBnReluImpl : public torch::nn::Module {
 public:
  /// The options' bias is overruled: there is none.
  explicit ConvBnReluImpl(torch::nn::Conv2dOptions options);

  /// x: (N, in_channels, H, W) -> (N, out_channels, H', W'), as the convolution has it
  torch::Tensor forward(const torch::Tensor& x) { return features(x).value(); }
  /// The same with BatchNorm and ReLU still to be done.
  [[nodiscard]] Features features(const torch::Tensor& x) { return relu(unit_.forward(x)); }

  // For fused operations of several units.
  [[nodiscard]] torch::nn::Conv2d conv() const { return unit_.last(); }
  [[nodiscard]] BatchNorm2d bn() const { return unit_.norm(); }

 private:
  ConvBn unit_;
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
