#include "xception/models/resnet9.h"

#include <memory>
#include <string>
#include <utility>

namespace xception {
namespace {

using torch::nn::Conv2d;
using torch::nn::Conv2dOptions;

constexpr std::int64_t kResNet9MinImageSize = 8;  // three halvings
constexpr double kResNet9DefaultDropout = 0.0;
constexpr double kLogitFactor = 0.125;

/// `conv` and `bn` of `parent`.
ConvBn unit(torch::nn::Module& parent, std::int64_t in, std::int64_t out) {
  return {parent, "conv", Conv2d(Conv2dOptions(in, out, 3).padding(1).bias(false)), "bn"};
}

std::shared_ptr<torch::nn::Module> child(torch::nn::Module& parent, const std::string& name) {
  return parent.register_module(name, std::make_shared<torch::nn::Module>());
}

}  // namespace

ResNet9::ResNet9(const ModelConfig& config)
    : dropout_(config.dropout.value_or(kResNet9DefaultDropout)) {
  check_variant(config, {"dawnbench"});
  const double width = config.own<WidthOptions>().width;
  std::int64_t published = 64;
  std::int64_t channels = scaled_channels(published, width);
  prep_ = unit(*child(*this, "prep"), 3, channels);
  for (const auto* name : {"layer1", "layer2", "layer3"}) {
    const auto layer = child(*this, name);
    auto& stage = stages_.emplace_back();
    const auto in = std::exchange(channels, scaled_channels(published *= 2, width));
    stage.unit = unit(*layer, in, channels);
    if (std::string(name) == "layer2") continue;
    const auto residual = child(*layer, "residual");
    for (const auto* inner : {"res1", "res2"}) {
      stage.residual.push_back(unit(*child(*residual, inner), channels, channels));
    }
  }
  fc_ = register_module(
      "fc", torch::nn::Linear(torch::nn::LinearOptions(channels, config.num_classes).bias(false)));
}

ClassifierOutput ResNet9::compute(const torch::Tensor& images) {
  // Sizes are those of 32 px images.
  torch::Tensor x = relu(prep_.forward(images)).value();  // (N, 64, 32, 32)
  for (auto& stage : stages_) {
    x = relu(stage.unit.forward(x)).value();
    // (N, 128, 16, 16), (N, 256, 8, 8), (N, 512, 4, 4)
    x = at::max_pool2d(x, /*kernel_size=*/2, /*stride=*/2);
    Features y = x;
    for (auto& inner : stage.residual) y = relu(inner.forward(y));
    if (!stage.residual.empty()) x = x + y.value();
  }
  x = at::max_pool2d(x, {x.size(2), x.size(3)}).flatten(1);      // (N, 512)
  x = at::dropout(x, dropout_, is_training());                   // (N, 512)
  return {.logits = fc_->forward(x) * kLogitFactor, .aux = {}};  // (N, num_classes)
}

ModelEntry resnet9_entry() {
  return {
      .name = "resnet9",
      .title = "ResNet-9",
      .description =
          "for CIFAR's 32 px: eight convolutions and a linear layer (David Page's, which won "
          "DAWNBench)",
      .variants = {"dawnbench"},
      .keys = own_keys<WidthOptions>,
      .default_image_size = 32,
      .min_image_size = kResNet9MinImageSize,
      .default_dropout = kResNet9DefaultDropout,
      .kind = "resnet18",
      .build = [](const ModelConfig& config) { return std::make_shared<ResNet9>(config); },
  };
}

}  // namespace xception
