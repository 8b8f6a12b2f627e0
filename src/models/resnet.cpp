#include "xception/models/resnet.h"

#include <fmt/format.h>

#include <memory>

#include "xception/models/stem.h"

namespace xception {
namespace {

using torch::nn::Conv2d;
using torch::nn::Conv2dOptions;

// The least that each halving of the image makes smaller: five of them, or three.
constexpr std::int64_t kResNetMinImageSize = 17;
constexpr std::int64_t kResNetMinImageSizeSmallStem = 5;
constexpr double kResNetDefaultDropout = 0.0;

/// A convolution without bias that keeps the image's size, but for the stride.
Conv2d convolution(std::int64_t in, std::int64_t out, std::int64_t kernel,
                   std::int64_t stride = 1) {
  return Conv2d(
      Conv2dOptions(in, out, kernel).stride(stride).padding((kernel - 1) / 2).bias(false));
}

}  // namespace

// Modules are registered in torchvision's order: so they draw the same initial values.

ResNetBlockImpl::ResNetBlockImpl(const Shape& shape) {
  const auto add = [&](std::int64_t in, std::int64_t out, std::int64_t kernel,
                       std::int64_t stride = 1) {
    const auto number = units_.size() + 1;
    units_.emplace_back(*this, fmt::format("conv{}", number), convolution(in, out, kernel, stride),
                        fmt::format("bn{}", number));
  };
  const auto out = shape.out_channels();
  if (shape.bottleneck) {
    add(shape.in_channels, shape.channels, 1);
    add(shape.channels, shape.channels, 3, shape.stride);
    add(shape.channels, out, 1);
  } else {
    add(shape.in_channels, shape.channels, 3, shape.stride);
    add(shape.channels, shape.channels, 3);
  }
  if (shape.stride != 1 || shape.in_channels != out) {
    const auto pair = register_module("downsample", std::make_shared<torch::nn::Module>());
    downsample_.emplace(*pair, "0", convolution(shape.in_channels, out, 1, shape.stride), "1");
  }
}

torch::Tensor ResNetBlockImpl::forward(const torch::Tensor& x) {
  Features y = x;
  for (auto& unit : units_) y = relu(unit.forward(y));
  return y.value(downsample_ ? downsample_->forward(x).value() : x);
}

ResNet::ResNet(const ResNetDepth& depth, const ModelConfig& config)
    : dropout_(config.dropout.value_or(kResNetDefaultDropout)),
      small_stem_(has_small_stem(config)) {
  check_variant(config, {"torchvision"});
  constexpr std::int64_t kStemChannels = 64;
  const auto conv1 =
      small_stem_ ? convolution(3, kStemChannels, 3) : convolution(3, kStemChannels, 7, 2);
  conv1_ = ConvBn(*this, "conv1", conv1, "bn1");
  std::int64_t in_channels = kStemChannels;
  std::int64_t channels = kStemChannels;
  for (std::size_t stage = 0; stage < depth.blocks.size(); ++stage) {
    const auto layer =
        register_module(fmt::format("layer{}", stage + 1), std::make_shared<torch::nn::Module>());
    for (std::int64_t i = 0; i < depth.blocks[stage]; ++i) {
      const ResNetBlockImpl::Shape shape{.in_channels = in_channels,
                                         .channels = channels,
                                         .stride = i == 0 && stage > 0 ? 2 : 1,
                                         .bottleneck = depth.bottleneck};
      blocks_.push_back(layer->register_module(std::to_string(i), ResNetBlock(shape)));
      in_channels = shape.out_channels();
    }
    channels *= 2;
  }
  fc_ = register_module("fc", torch::nn::Linear(in_channels, config.num_classes));
  init_kaiming_fan_out(*this);
}

ClassifierOutput ResNet::compute(const torch::Tensor& images) {
  // Sizes are those of 224 px images; channels those without bottlenecks.
  const auto y = relu(conv1_.forward(images));  // (N, 64, 112, 112)
  torch::Tensor x = small_stem_ ? y.value() : pool_add(y, {}, /*padding=*/1, kernels());
  for (auto& block : blocks_) {
    // (N, 64, 56, 56), (N, 128, 28, 28), (N, 256, 14, 14), (N, 512, 7, 7)
    x = block->forward(x);
  }
  x = global_average_pool(x);                     // (N, 512)
  x = at::dropout(x, dropout_, is_training());    // (N, 512)
  return {.logits = fc_->forward(x), .aux = {}};  // (N, num_classes)
}

const std::array<ResNetDepth, 5>& resnet_depths() {
  static const std::array<ResNetDepth, 5> table = {{
      {"resnet18", {2, 2, 2, 2}, /*bottleneck=*/false},
      {"resnet34", {3, 4, 6, 3}, /*bottleneck=*/false},
      {"resnet50", {3, 4, 6, 3}, /*bottleneck=*/true},
      {"resnet101", {3, 4, 23, 3}, /*bottleneck=*/true},
      {"resnet152", {3, 8, 36, 3}, /*bottleneck=*/true},
  }};
  return table;
}

std::vector<ModelEntry> resnet_entries() {
  std::vector<ModelEntry> entries;
  for (const auto& depth : resnet_depths()) {
    const auto layers = depth.name.substr(std::string("resnet").size());
    entries.push_back({
        .name = depth.name,
        .title = "ResNet-" + layers,
        .description = fmt::format(
            "{} layers with shortcuts{} (He et al., arXiv 1512.03385), as torchvision has it",
            layers, depth.bottleneck ? ", bottlenecks" : ""),
        .variants = {"torchvision"},
        .keys = own_keys<StemOptions>,
        .default_image_size = 224,
        .min_image_size = kResNetMinImageSize,
        .min_image_size_with =
            [](const ModelConfig& config) {
              return has_small_stem(config) ? kResNetMinImageSizeSmallStem : kResNetMinImageSize;
            },
        .default_dropout = kResNetDefaultDropout,
        .kind = depth.name == "resnet18" ? "" : "resnet18",
        .build =
            [depth](const ModelConfig& config) { return std::make_shared<ResNet>(depth, config); },
    });
  }
  return entries;
}

}  // namespace xception
