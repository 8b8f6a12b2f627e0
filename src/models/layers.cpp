#include "xception/models/layers.h"

#include <torch/nn/init.h>

#include <array>
#include <cmath>
#include <numbers>
#include <utility>

#include "xception/core/error.h"
#include "xception/kernels/depthwise.h"
#include "xception/kernels/max_pool.h"
#include "xception/models/pixel_product.h"

namespace xception {

Activation parse_activation(std::string_view name) {
  using enum Activation;
  static constexpr std::array<std::pair<std::string_view, Activation>, 8> table{
      {{"none", none},
       {"relu", relu},
       {"elu", elu},
       {"gelu", gelu},
       {"silu", silu},
       {"leaky_relu", leaky_relu},
       {"mish", mish},
       {"hardswish", hardswish}}};
  for (const auto& [spelling, activation] : table) {
    if (spelling == name) return activation;
  }
  throw input_error("models",
                    "activation \"{}\": expected none, relu, elu, gelu, silu, leaky_relu, mish or "
                    "hardswish",
                    name);
}

SeparableOrder parse_separable_order(std::string_view name) {
  if (name == "depthwise_first") return SeparableOrder::depthwise_first;
  if (name == "pointwise_first") return SeparableOrder::pointwise_first;
  throw input_error("models", "separable_order \"{}\": expected depthwise_first or pointwise_first",
                    name);
}

torch::Tensor activate(const torch::Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::none:
      return x;
    case Activation::relu:
      return at::relu(x);
    case Activation::elu:
      return at::elu(x);
    case Activation::gelu:
      return at::gelu(x);
    case Activation::silu:
      return at::silu(x);
    case Activation::leaky_relu:
      return at::leaky_relu(x);
    case Activation::mish:
      return at::mish(x);
    case Activation::hardswish:
      return at::hardswish(x);
  }
  throw run_error("models", "activation {} is not one of the enum's", static_cast<int>(activation));
}

torch::Tensor bn_act(const torch::Tensor& x, BatchNorm2d& bn, Activation activation,
                     const torch::Tensor& shortcut) {
  const bool fits = !shortcut.defined() || shortcut.scalar_type() == x.scalar_type();
  if (fits && bn->fuses(x)) {
    const bool relu = activation == Activation::relu;
    const auto y = fused_bn_act(x, bn->arguments(), relu, shortcut);
    return relu ? y : activate(y, activation);
  }
  torch::Tensor normalised = bn->forward(x);
  if (shortcut.defined()) normalised.add_(shortcut);
  // Only ReLU's backward can do with the result alone.
  if (activation == Activation::relu) return at::relu_(normalised);
  return activate(normalised, activation);
}

torch::Tensor pool_add(const torch::Tensor& x, const torch::Tensor& shortcut, std::int64_t padding,
                       Kernels kernels) {
  const bool fits = !shortcut.defined() || shortcut.scalar_type() == x.scalar_type();
  if (fits && kernels == Kernels::fused && fused_kernels_take(x)) {
    return fused_max_pool(x, padding, shortcut);
  }
  torch::Tensor pooled = at::max_pool2d(x, /*kernel_size=*/3, /*stride=*/2, padding);
  return shortcut.defined() ? pooled.add_(shortcut) : pooled;
}

torch::Tensor global_average_pool(const torch::Tensor& x) {
  return at::adaptive_avg_pool2d(x, {1, 1}).flatten(1);
}

SeparableConvImpl::SeparableConvImpl(std::int64_t in_channels, std::int64_t out_channels,
                                     SeparableOrder order, Activation between)
    : order_(order), between_(between) {
  const auto depth = order == SeparableOrder::depthwise_first ? in_channels : out_channels;
  conv1_ = register_module(
      "conv1", torch::nn::Conv2d(
                   torch::nn::Conv2dOptions(depth, depth, 3).padding(1).groups(depth).bias(false)));
  pointwise_ = register_module(
      "pointwise",
      torch::nn::Conv2d(torch::nn::Conv2dOptions(in_channels, out_channels, 1).bias(false)));
}

torch::Tensor SeparableConvImpl::forward(const torch::Tensor& x, Activation before) {
  if (fuses(x)) {
    const bool relu = before == Activation::relu;
    return after_depthwise(
        fused_depthwise(relu ? x : activate(x, before), conv1_->weight, {}, relu));
  }
  const auto input = activate(x, before);
  if (order_ == SeparableOrder::depthwise_first) return after_depthwise(conv1_->forward(input));
  return conv1_->forward(activate(pointwise_->forward(input), between_));
}

torch::Tensor SeparableConvImpl::forward_bn_relu(const torch::Tensor& x, BatchNorm2d& bn) {
  if (bn->folded()) {
    auto convolved = x;  // of no use to anyone else
    return fuses(x) ? forward(x, Activation::relu) : forward(at::relu_(convolved));
  }
  if (!fuses(x) || !bn->fuses(x)) return forward(bn_act(x, bn, Activation::relu));
  return after_depthwise(fused_bn_depthwise(x, bn->arguments(), /*relu=*/true, conv1_->weight, {}));
}

const torch::nn::Conv2d& SeparableConvImpl::last() const {
  return order_ == SeparableOrder::depthwise_first ? pointwise_ : conv1_;
}

bool SeparableConvImpl::fuses(const torch::Tensor& x) const {
  if (kernels() != Kernels::fused || order_ != SeparableOrder::depthwise_first) return false;
  const auto wanted = x.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  return fused_kernels_take(x) && conv1_->weight.scalar_type() == wanted;
}

torch::Tensor SeparableConvImpl::after_depthwise(const torch::Tensor& x) {
  const auto input = activate(x, between_);
  const bool as_product = kernels() == Kernels::fused && x.is_cpu() && fused_kernels_take(input);
  return as_product ? pixel_product(input, {pointwise_}) : pointwise_->forward(input);
}

ConvBnReluImpl::ConvBnReluImpl(torch::nn::Conv2dOptions options) {
  conv_ = register_module("conv", torch::nn::Conv2d(options.bias(false)));
  bn_ = register_module(
      "bn", BatchNorm2d(torch::nn::BatchNorm2dOptions(options.out_channels()).eps(1e-3)));
}

torch::Tensor ConvBnReluImpl::forward(const torch::Tensor& x) {
  return bn_act(conv_->forward(x), bn_, Activation::relu);
}

std::vector<NormalizedConv> ConvBnReluImpl::normalized_convs() const {
  return {{conv_, bn_}};
}

void init_kaiming_fan_out(torch::nn::Module& module) {
  for (const auto& child : module.modules(/*include_self=*/false)) {
    if (auto* conv = child->as<torch::nn::Conv2dImpl>()) {
      torch::nn::init::kaiming_normal_(conv->weight, /*a=*/0.0, torch::kFanOut, torch::kReLU);
    }
  }
}

void init_truncated_normal(torch::Tensor tensor, double std) {
  // The standard normal distribution function at the limit -2 is (1 + erf) / 2; uniform draws over
  // [2 cdf(-2) - 1, 2 cdf(2) - 1] = [erf(-2 / (std sqrt 2)), erf(2 / (std sqrt 2))], through the
  // inverse of erf, are the truncated distribution's.
  const torch::NoGradGuard no_grad;
  const double limit = std::erf(2.0 / (std * std::numbers::sqrt2));
  tensor.uniform_(-limit, limit)
      .erfinv_()
      .mul_(std * std::numbers::sqrt2)
      // The ends of a uniform draw would be infinite.
      .clamp_(-2.0, 2.0);
}

}  // namespace xception
