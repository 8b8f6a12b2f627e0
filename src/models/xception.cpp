#include "xception/models/xception.h"

#include <memory>
#include <utility>

#include "xception/core/error.h"
#include "xception/models/stem.h"

namespace xception {
namespace {

using torch::nn::Conv2d;
using torch::nn::Conv2dOptions;

constexpr std::int64_t kXceptionMinImageSize = 71;  // Keras's
// The least that each of the four blocks that halve an image makes smaller.
constexpr std::int64_t kXceptionMinImageSizeSmallStem = 9;
constexpr double kXceptionDefaultDropout = 0.0;

bool is_notebook(const std::string& variant) {
  if (variant == "notebook") return true;
  if (variant.empty() || variant == "paper") return false;
  throw input_error("models", "xception: variant \"{}\": expected paper or notebook", variant);
}

bool is_same(const std::string& padding) {
  if (padding == "same") return true;
  if (padding == "symmetric") return false;
  throw input_error("models", "xception: padding \"{}\": expected symmetric or same", padding);
}

}  // namespace

std::vector<Key> XceptionOptions::keys() {
  return {{"middle_blocks", &middle_blocks, between(0, 64), "blocks of the middle flow"},
          {"residual", &residual, {}, "shortcuts around the blocks"},
          {"separable_order", &separable_order, Choices{"depthwise_first", "pointwise_first"},
           "order inside a separable convolution"},
          {"intermediate_activation", &intermediate_activation, activation_names(),
           "activation between depthwise and pointwise convolution"},
          {"padding", &padding, Choices{"symmetric", "same"},
           "where an image is halved: PyTorch's padding, or TensorFlow's and Keras's"},
          {.name = "stochastic_depth",
           .variable = &stochastic_depth,
           .accepts = below(0, 1),
           .meaning = "share of the images that skip the last middle block, fewer the earlier ones",
           .use = {.newer = true}}};
}

XceptionBlockImpl::XceptionBlockImpl(const Shape& shape, const XceptionStyle& style)
    : residual_(style.residual),
      halve_(shape.halve),
      leading_relu_(shape.leading_relu),
      same_padding_(style.same_padding),
      drop_(style.residual ? shape.drop : 0.0) {
  const std::int64_t out_channels = shape.channels.back();
  if (residual_ && (halve_ || shape.in_channels != out_channels)) {
    skip_ = register_module("skip", Conv2d(Conv2dOptions(shape.in_channels, out_channels, 1)
                                               .stride(halve_ ? 2 : 1)
                                               .bias(style.notebook)));
    if (!style.notebook) skipbn_ = register_module("skipbn", BatchNorm2d(skip_));
  }

  const auto rep = register_module("rep", std::make_shared<torch::nn::Module>());
  std::int64_t in_channels = shape.in_channels;
  int index = leading_relu_ ? 1 : 0;  // index 0 is the leading ReLU's, which has no parameters
  for (const std::int64_t channels : shape.channels) {
    separables_.emplace_back(*rep, std::to_string(index),
                             SeparableConv(in_channels, channels, style.order, style.between),
                             std::to_string(index + 1));
    in_channels = channels;
    index += 3;  // separable convolution, BatchNorm, the ReLU that follows
  }
}

torch::Tensor XceptionBlockImpl::shortcut(const torch::Tensor& x) {
  if (!residual_) return {};
  if (!skip_) return x;
  Features y = skip_->forward(x);  // (N, out, H/2, W/2)
  if (skipbn_) y.norm = skipbn_.get();
  return y.value();
}

torch::Tensor XceptionBlockImpl::forward(const torch::Tensor& x) {
  torch::Tensor beside = x;
  Features y = x;
  for (auto& separable : separables_) {
    const bool first = &separable == &separables_.front();
    y = separable.forward(first && !leading_relu_ ? y : relu(y),
                          first && residual_ ? &beside : nullptr);  // (N, channels[i], H, W)
  }
  if (drop_ > 0.0 && is_training()) {
    const auto kept = torch::empty({x.size(0), 1, 1, 1}, x.options().dtype(torch::kFloat32))
                          .bernoulli_(1.0 - drop_)
                          .div_(1.0 - drop_);
    const auto value = y.value();
    return value * kept.to(value.scalar_type()) + shortcut(beside);
  }
  if (!halve_) return y.value(shortcut(beside));  // (N, out, H, W)
  // (N, out, H/2, W/2), rounded up
  return same_padding_ ? pool_add_same(y, shortcut(beside), kernels())
                       : pool_add(y, shortcut(beside), /*padding=*/1, kernels());
}

Xception::Xception(const ModelConfig& config)
    : dropout_(config.dropout.value_or(kXceptionDefaultDropout)), pad_images_(false) {
  const auto options = config.own<XceptionOptions>();
  const XceptionStyle style{
      .notebook = is_notebook(config.variant),
      .residual = options.residual,
      .order = parse_separable_order(options.separable_order),
      .between = parse_activation(options.intermediate_activation),
      .same_padding = is_same(options.padding),
  };
  const bool small = has_small_stem(config);
  pad_images_ = style.notebook && style.same_padding && !small;
  const auto c = [width = config.own<WidthOptions>().width](std::int64_t channels) {
    return scaled_channels(channels, width);
  };
  // Modules are built in the order in which timm's are: so they draw the same initial values.
  const auto stem = [&](std::int64_t in, std::int64_t out, std::int64_t stride) {
    const bool padded = small || (style.notebook && !(stride == 2 && pad_images_));
    return Conv2d(
        Conv2dOptions(in, out, 3).stride(stride).padding(padded ? 1 : 0).bias(style.notebook));
  };
  conv1_ = ConvBn(*this, "conv1", stem(3, c(32), small ? 1 : 2), "bn1");
  conv2_ = ConvBn(*this, "conv2", stem(c(32), c(64), 1), "bn2");

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
    const double place = static_cast<double>(i + 1) / static_cast<double>(options.middle_blocks);
    add_block({.in_channels = c(728),
               .channels = {c(728), c(728), c(728)},
               .drop = options.stochastic_depth * place});
  }
  // Exit flow.
  add_block({c(728), {c(728), c(1024)}, /*halve=*/true});
  const auto separable = [&style](std::int64_t in, std::int64_t out) {
    return SeparableConv(in, out, style.order, style.between);
  };
  conv3_ = SeparableConvBn(*this, "conv3", separable(c(1024), c(1536)), "bn3");
  conv4_ = SeparableConvBn(*this, "conv4", separable(c(1536), c(2048)), "bn4");
  fc_ = register_module("fc", torch::nn::Linear(c(2048), config.num_classes));

  if (!style.notebook) init_kaiming_fan_out(*this);
}

ClassifierOutput Xception::compute(const torch::Tensor& images) {
  // Sizes are those of 299 px images; the notebook's are 150, 150, 75, 38, 19, 10.
  torch::Tensor x = pad_images_ ? same_padded(images, 0.0) : images;
  x = relu(conv1_.forward(x)).value();  // (N, 32, 149, 149)
  x = relu(conv2_.forward(x)).value();  // (N, 64, 147, 147)
  for (auto& block : blocks_) {
    // (N, 128, 74, 74), (N, 256, 37, 37), (N, 728, 19, 19), 8 x the same, (N, 1024, 10, 10)
    x = block->forward(x);
  }
  Features y = relu(conv3_.forward(x));           // (N, 1536, 10, 10)
  y = relu(conv4_.forward(y));                    // (N, 2048, 10, 10)
  x = global_average_pool(y.value());             // (N, 2048)
  x = at::dropout(x, dropout_, is_training());    // (N, 2048)
  return {.logits = fc_->forward(x), .aux = {}};  // (N, num_classes)
}

ModelEntry xception_entry() {
  return {
      .name = "xception",
      .title = "Xception",
      .description =
          "depthwise separable convolutions with residual connections (Chollet, arXiv "
          "1610.02357)",
      .variants = {"paper", "notebook"},
      .keys =
          [](ModelConfig& config) {
            auto keys = own_keys<WidthOptions>(config);
            for (auto& key : own_keys<XceptionOptions>(config)) keys.push_back(std::move(key));
            for (auto& key : own_keys<StemOptions>(config)) keys.push_back(std::move(key));
            return keys;
          },
      .default_image_size = 299,
      .min_image_size = kXceptionMinImageSize,
      .min_image_size_with =
          [](const ModelConfig& config) {
            return has_small_stem(config) ? kXceptionMinImageSizeSmallStem : kXceptionMinImageSize;
          },
      .default_dropout = kXceptionDefaultDropout,
      .aux_min_image_size = 0,
      .build = [](const ModelConfig& config) { return std::make_shared<Xception>(config); },
  };
}

}  // namespace xception
