#include "xception/models/layers.h"

#include <fmt/ranges.h>
#include <torch/nn/init.h>

#include <cmath>
#include <limits>
#include <numbers>

#include "xception/core/error.h"
#include "xception/kernels/depthwise.h"
#include "xception/kernels/max_pool.h"
#include "xception/models/pixel_product.h"

namespace xception {

namespace {

using torch::Tensor;

constexpr Activation kActivations[] = {
    {"none", [](const Tensor& x) { return x; }},
    {"relu", [](const Tensor& x) { return at::relu(x); }},
    {"elu", [](const Tensor& x) { return at::elu(x); }},
    {"gelu", [](const Tensor& x) { return at::gelu(x); }},
    {"silu", [](const Tensor& x) { return at::silu(x); }},
    {"leaky_relu", [](const Tensor& x) { return at::leaky_relu(x); }},
    {"mish", [](const Tensor& x) { return at::mish(x); }},
    {"hardswish", [](const Tensor& x) { return at::hardswish(x); }},
};

}  // namespace

const Activation Activation::none = kActivations[0];
const Activation Activation::relu = kActivations[1];

std::vector<std::string> activation_names() {
  std::vector<std::string> names;
  for (const auto& activation : kActivations) names.emplace_back(activation.name);
  return names;
}

Activation parse_activation(std::string_view name) {
  for (const auto& activation : kActivations) {
    if (activation.name == name) return activation;
  }
  auto names = activation_names();
  const auto last = names.back();
  names.pop_back();
  throw input_error("models", "activation \"{}\": expected {} or {}", name, fmt::join(names, ", "),
                    last);
}

SeparableOrder parse_separable_order(std::string_view name) {
  if (name == "depthwise_first") return SeparableOrder::depthwise_first;
  if (name == "pointwise_first") return SeparableOrder::pointwise_first;
  throw input_error("models", "separable_order \"{}\": expected depthwise_first or pointwise_first",
                    name);
}

torch::Tensor Features::value(const torch::Tensor& shortcut) const {
  if (norm == nullptr) return activation(shortcut.defined() ? x + shortcut : x);
  const bool fits = !shortcut.defined() || shortcut.scalar_type() == x.scalar_type();
  const bool with_relu = activation == Activation::relu;
  if (fits && norm->can_fuse(x)) {
    const auto y = fused_bn_act(x, norm->arguments(), with_relu, shortcut);
    return with_relu ? y : activation(y);
  }
  torch::Tensor normalized = norm->forward(x);
  if (shortcut.defined()) normalized.add_(shortcut);
  // Only ReLU's backward can do with the result alone.
  return with_relu ? at::relu_(normalized) : activation(normalized);
}

Features relu(Features features) {
  features.activation = Activation::relu;
  return features;
}

torch::Tensor pool_add(const Features& features, const torch::Tensor& shortcut,
                       std::int64_t padding, Kernels kernels) {
  const auto fits = [&](const torch::Tensor& x) {
    return kernels == Kernels::fused &&
           (!shortcut.defined() || shortcut.scalar_type() == x.scalar_type());
  };
  const bool with_relu = features.activation == Activation::relu;
  // A CPU is faster with the two operations.
  if (features.x.is_cuda() && fits(features.x) && features.norm != nullptr &&
      features.norm->can_fuse(features.x) &&
      (with_relu || features.activation == Activation::none)) {
    return fused_bn_max_pool(features.x, features.norm->arguments(), with_relu, padding, shortcut);
  }
  const auto x = features.value();
  if (fits(x) && can_fuse_image(x)) return fused_max_pool(x, padding, shortcut);
  torch::Tensor pooled = at::max_pool2d(x, /*kernel_size=*/3, /*stride=*/2, padding);
  return shortcut.defined() ? pooled.add_(shortcut) : pooled;
}

torch::Tensor pool_add_same(const Features& features, const torch::Tensor& shortcut,
                            Kernels kernels) {
  const bool symmetric = features.x.size(2) % 2 == 1 && features.x.size(3) % 2 == 1;
  if (symmetric) return pool_add(features, shortcut, /*padding=*/1, kernels);
  // A window always has a pixel of the image's, which is larger.
  const auto padded = same_padded(features.value(), -std::numeric_limits<double>::infinity());
  return pool_add(padded, shortcut, /*padding=*/0, kernels);
}

torch::Tensor same_padded(const torch::Tensor& x, double value) {
  return at::constant_pad_nd(x, {x.size(3) % 2, 1, x.size(2) % 2, 1}, value);
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

torch::Tensor SeparableConvImpl::forward(const Features& x, torch::Tensor* beside) {
  if (order_ == SeparableOrder::depthwise_first) return pointwise(between_(depthwise(x, beside)));
  return conv1_->forward(between_(pointwise_->forward(x.value())));
}

torch::Tensor SeparableConvImpl::depthwise(const Features& x, torch::Tensor* beside) {
  const bool with_relu = x.activation == Activation::relu;
  if (can_fuse(x.x) && (with_relu || x.activation == Activation::none)) {
    const bool as_it_is = x.norm == nullptr || x.norm->folded();
    // A CPU gains nothing.
    if (as_it_is && beside != nullptr && x.x.is_cuda()) {
      auto result = fused_depthwise_beside(x.x, conv1_->weight, {}, with_relu);
      *beside = result.input;
      return result.convolved;
    }
    if (as_it_is) {
      return fused_depthwise(x.x, conv1_->weight, {}, with_relu);
    }
    if (x.norm->can_fuse(x.x)) {
      return fused_bn_depthwise(x.x, x.norm->arguments(), with_relu, conv1_->weight, {});
    }
  }
  const auto input = x.value();
  return can_fuse(input) ? fused_depthwise(input, conv1_->weight, {}, /*relu=*/false)
                         : conv1_->forward(input);
}

torch::Tensor SeparableConvImpl::pointwise(const torch::Tensor& x) {
  const bool as_product = kernels() == Kernels::fused && x.is_cpu() && can_fuse_image(x);
  return as_product ? pixel_product(x, {pointwise_}) : pointwise_->forward(x);
}

const torch::nn::Conv2d& SeparableConvImpl::last() const {
  return order_ == SeparableOrder::depthwise_first ? pointwise_ : conv1_;
}

bool SeparableConvImpl::can_fuse(const torch::Tensor& x) const {
  const auto wanted = x.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32;
  return kernels() == Kernels::fused && can_fuse_image(x) && conv1_->weight.scalar_type() == wanted;
}

ConvBnReluImpl::ConvBnReluImpl(torch::nn::Conv2dOptions options)
    : unit_(*this, "conv", torch::nn::Conv2d(options.bias(false)), "bn", /*eps=*/1e-3) {}

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
