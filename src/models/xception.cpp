#include "xception/models/xception.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "xception/core/error.h"

namespace xception {
namespace {

using torch::nn::BatchNorm2dOptions;
using torch::nn::Conv2d;
using torch::nn::Conv2dOptions;

constexpr std::int64_t kMinImageSize = 71;
constexpr double kDefaultDropout = 0.0;

bool is_notebook(const std::string& variant) {
  if (variant == "notebook") return true;
  if (variant.empty() || variant == "paper") return false;
  throw input_error("models", "xception: variant \"{}\": expected paper or notebook", variant);
}

BatchNorm2d batch_norm(std::int64_t channels) {
  return BatchNorm2d(BatchNorm2dOptions(channels));
}

/// A channel count of the paper times the width: a multiple of 8, which tensor cores like.
std::int64_t scaled(std::int64_t channels, double width) {
  const double eighths = std::nearbyint(static_cast<double>(channels) * width / 8.0);
  return 8 * std::max<std::int64_t>(1, static_cast<std::int64_t>(eighths));
}

}  // namespace

std::vector<Key> XceptionOptions::keys() {
  return {{"width", &width, Range{.low = 0, .high = 8, .low_open = true},
           "factor on every channel count"},
          {"middle_blocks", &middle_blocks, between(0, 64), "blocks of the middle flow"},
          {"residual", &residual, {}, "shortcuts around the blocks"},
          {"separable_order", &separable_order, Choices{"depthwise_first", "pointwise_first"},
           "order inside a separable convolution"},
          {"intermediate_activation", &intermediate_activation,
           Choices{"none", "relu", "elu", "gelu", "silu", "leaky_relu", "mish", "hardswish"},
           "activation between depthwise and pointwise convolution"}};
}

XceptionBlockImpl::XceptionBlockImpl(const Shape& shape, const XceptionStyle& style)
    : residual_(style.residual), halve_(shape.halve), leading_relu_(shape.leading_relu) {
  const std::int64_t out_channels = shape.channels.back();
  if (residual_ && (halve_ || shape.in_channels != out_channels)) {
    skip_ = register_module("skip", Conv2d(Conv2dOptions(shape.in_channels, out_channels, 1)
                                               .stride(halve_ ? 2 : 1)
                                               .bias(style.notebook)));
    if (!style.notebook) skipbn_ = register_module("skipbn", batch_norm(out_channels));
  }

  const auto rep = register_module("rep", std::make_shared<torch::nn::Module>());
  std::int64_t in_channels = shape.in_channels;
  int index = leading_relu_ ? 1 : 0;  // index 0 is the leading ReLU's, which has no parameters
  for (const std::int64_t channels : shape.channels) {
    separables_.push_back(rep->register_module(
        std::to_string(index), SeparableConv(in_channels, channels, style.order, style.between)));
    norms_.push_back(rep->register_module(std::to_string(index + 1), batch_norm(channels)));
    in_channels = channels;
    index += 3;  // separable convolution, BatchNorm, the ReLU that follows
  }
}

torch::Tensor XceptionBlockImpl::shortcut(const torch::Tensor& x) {
  if (!residual_) return {};
  if (!skip_) return x;
  const torch::Tensor projected = skip_->forward(x);  // (N, out, H/2, W/2)
  return skipbn_ ? bn_act(projected, skipbn_, Activation::none) : projected;
}

torch::Tensor XceptionBlockImpl::forward(const torch::Tensor& x) {
  torch::Tensor y = separables_.front()->forward(
      x, leading_relu_ ? Activation::relu : Activation::none);  // (N, channels[0], H, W)
  for (std::size_t i = 1; i < separables_.size(); ++i) {
    y = separables_[i]->forward_bn_relu(y, norms_[i - 1]);  // (N, channels[i], H, W)
  }
  auto& norm = norms_.back();
  if (!halve_) return bn_act(y, norm, Activation::none, shortcut(x));  // (N, out, H, W)
  y = bn_act(y, norm, Activation::none);
  return pool_add(y, shortcut(x), /*padding=*/1, kernels());  // (N, out, H/2, W/2), rounded up
}

std::vector<NormalizedConv> XceptionBlockImpl::normalized_convs() const {
  std::vector<NormalizedConv> pairs;
  if (skipbn_) pairs.push_back({skip_, skipbn_});
  for (std::size_t i = 0; i < separables_.size(); ++i) {
    pairs.push_back({separables_[i]->last(), norms_[i]});
  }
  return pairs;
}

Xception::Xception(const ModelConfig& config) : dropout_(config.dropout.value_or(kDefaultDropout)) {
  const auto options = config.own<XceptionOptions>();
  const XceptionStyle style{
      .notebook = is_notebook(config.variant),
      .residual = options.residual,
      .order = parse_separable_order(options.separable_order),
      .between = parse_activation(options.intermediate_activation),
  };
  const auto c = [&options](std::int64_t channels) { return scaled(channels, options.width); };
  // Modules are built in the order in which timm's are: so they draw the same initial values.
  const auto stem = [&style](std::int64_t in, std::int64_t out, std::int64_t stride) {
    return Conv2d(Conv2dOptions(in, out, 3)
                      .stride(stride)
                      .padding(style.notebook ? 1 : 0)
                      .bias(style.notebook));
  };
  conv1_ = register_module("conv1", stem(3, c(32), 2));
  bn1_ = register_module("bn1", batch_norm(c(32)));
  conv2_ = register_module("conv2", stem(c(32), c(64), 1));
  bn2_ = register_module("bn2", batch_norm(c(64)));

  const auto add_block = [&](const XceptionBlockImpl::Shape& shape) {
    const auto name = "block" + std::to_string(blocks_.size() + 1);
    blocks_.push_back(register_module(name, XceptionBlock(shape, style)));
  };
  // Entry flow.
  add_block({c(64), {c(128), c(128)}, /*halve=*/true, /*leading_relu=*/false});
  add_block({c(128), {c(256), c(256)}, /*halve=*/true});
  add_block({c(256), {c(728), c(728)}, /*halve=*/true});
  // Middle flow.
  for (std::int64_t i = 0; i < options.middle_blocks; ++i) {
    add_block({c(728), {c(728), c(728), c(728)}});
  }
  // Exit flow.
  add_block({c(728), {c(728), c(1024)}, /*halve=*/true});
  conv3_ = register_module("conv3", SeparableConv(c(1024), c(1536), style.order, style.between));
  bn3_ = register_module("bn3", batch_norm(c(1536)));
  conv4_ = register_module("conv4", SeparableConv(c(1536), c(2048), style.order, style.between));
  bn4_ = register_module("bn4", batch_norm(c(2048)));
  fc_ = register_module("fc", torch::nn::Linear(c(2048), config.num_classes));

  if (!style.notebook) init_kaiming_fan_out(*this);
}

Logits Xception::forward(const torch::Tensor& images) {
  count_batches(*this);
  // Sizes are those of 299 px images; the notebook's are 150, 150, 75, 38, 19, 10.
  torch::Tensor x = conv1_->forward(images);  // (N, 32, 149, 149)
  x = bn_act(x, bn1_, Activation::relu);
  x = conv2_->forward(x);  // (N, 64, 147, 147)
  x = bn_act(x, bn2_, Activation::relu);
  for (auto& block : blocks_) {
    // (N, 128, 74, 74), (N, 256, 37, 37), (N, 728, 19, 19), 8 x the same, (N, 1024, 10, 10)
    x = block->forward(x);
  }
  x = conv3_->forward(x);                // (N, 1536, 10, 10)
  x = conv4_->forward_bn_relu(x, bn3_);  // (N, 2048, 10, 10)
  x = bn_act(x, bn4_, Activation::relu);
  x = global_average_pool(x);  // (N, 2048)
  x = at::dropout(x, dropout_, is_training());
  return {.logits = fc_->forward(x), .aux = {}};  // (N, num_classes)
}

std::vector<NormalizedConv> Xception::normalized_convs() const {
  return {{conv1_, bn1_}, {conv2_, bn2_}, {conv3_->last(), bn3_}, {conv4_->last(), bn4_}};
}

ModelEntry xception_entry() {
  return {
      .name = "xception",
      .description =
          "depthwise separable convolutions with residual connections (Chollet, arXiv "
          "1610.02357)",
      .variants = {"paper", "notebook"},
      .keys = own_keys<XceptionOptions>,
      .default_image_size = 299,
      .min_image_size = kMinImageSize,
      .default_dropout = kDefaultDropout,
      .aux_min_image_size = 0,
      .build = [](const ModelConfig& config) { return std::make_shared<Xception>(config); },
  };
}

}  // namespace xception
