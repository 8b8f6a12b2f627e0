#include "xception/models/vgg.h"

#include <torch/nn/init.h>

#include <memory>
#include <string>

namespace xception {
namespace {

using torch::nn::Conv2d;
using torch::nn::Conv2dOptions;
using torch::nn::Linear;

constexpr std::int64_t kVggMinImageSize = 32;  // five halvings
constexpr std::int64_t kVggPooledSize = 7;     // of the features that the linear layers read
constexpr std::int64_t kVggHidden = 4096;
constexpr double kVggDefaultDropout = 0.5;

/// The paper's configuration D: channels of the 3x3 convolutions, with 0 for max pooling.
constexpr std::int64_t kLayers[] = {64, 64,  0,   128, 128, 0,   256, 256, 256,
                                    0,  512, 512, 512, 0,   512, 512, 512, 0};

/// torchvision's: He et al.'s for convolutions, a normal distribution of deviation 0.01 for linear
/// layers, no bias.
void init_weights(Vgg16& network) {
  const torch::NoGradGuard no_grad;
  init_kaiming_fan_out(network);
  for (const auto& module : network.modules(/*include_self=*/false)) {
    if (auto* conv = module->as<torch::nn::Conv2dImpl>()) {
      conv->bias.zero_();
    } else if (auto* linear = module->as<torch::nn::LinearImpl>()) {
      linear->weight.normal_(0.0, 0.01);
      linear->bias.zero_();
    }
  }
}

}  // namespace

// Modules are built in torchvision's order: so they draw the same initial values. Their names are
// places in its Sequential, in which ReLU, pooling and dropout count.

Vgg16::Vgg16(bool batch_norm, const ModelConfig& config)
    : dropout_(config.dropout.value_or(kVggDefaultDropout)) {
  check_variant(config, {"torchvision"});
  const auto features = register_module("features", std::make_shared<torch::nn::Module>());
  std::int64_t in = 3;
  int place = 0;
  for (const auto channels : kLayers) {
    if (channels == 0) {
      steps_.back().pool = true;
      ++place;
      continue;
    }
    const Conv2d conv(Conv2dOptions(in, channels, 3).padding(1));
    auto& step = steps_.emplace_back();
    if (batch_norm) {
      step.unit = ConvBn(*features, std::to_string(place), conv, std::to_string(place + 1));
    } else {
      step.conv = features->register_module(std::to_string(place), conv);
    }
    place += batch_norm ? 3 : 2;
    in = channels;
  }
  const auto classifier = register_module("classifier", std::make_shared<torch::nn::Module>());
  const auto add = [&](const std::string& name, std::int64_t inputs, std::int64_t outputs) {
    linears_.push_back(classifier->register_module(name, Linear(inputs, outputs)));
  };
  add("0", in * kVggPooledSize * kVggPooledSize, kVggHidden);
  add("3", kVggHidden, kVggHidden);
  add("6", kVggHidden, config.num_classes);
  init_weights(*this);
}

ClassifierOutput Vgg16::compute(const torch::Tensor& images) {
  // Sizes are those of 224 px images.
  torch::Tensor x = images;
  for (auto& step : steps_) {
    x = step.conv ? step.conv->forward(x).relu_() : relu(step.unit.forward(x)).value();
    // (N, 64, 112, 112), (N, 128, 56, 56), (N, 256, 28, 28), (N, 512, 14, 14), (N, 512, 7, 7)
    if (step.pool) x = at::max_pool2d(x, /*kernel_size=*/2, /*stride=*/2);
  }
  x = at::adaptive_avg_pool2d(x, {kVggPooledSize, kVggPooledSize}).flatten(1);  // (N, 512 * 7 * 7)
  for (std::size_t i = 0; i + 1 < linears_.size(); ++i) {
    x = at::dropout(linears_[i]->forward(x).relu_(), dropout_, is_training());  // (N, 4096)
  }
  return {.logits = linears_.back()->forward(x), .aux = {}};  // (N, num_classes)
}

std::vector<ModelEntry> vgg_entries() {
  const auto entry = [](bool batch_norm) -> ModelEntry {
    return {
        .name = batch_norm ? "vgg16_bn" : "vgg16",
        .title = batch_norm ? "VGG-16 with BatchNorm" : "VGG-16",
        .description = std::string("thirteen 3x3 convolutions") +
                       (batch_norm ? " with BatchNorm" : "") +
                       ", three linear layers (Simonyan and Zisserman, arXiv 1409.1556), as "
                       "torchvision has it",
        .variants = {"torchvision"},
        .default_image_size = 224,
        .min_image_size = kVggMinImageSize,
        .default_dropout = kVggDefaultDropout,
        .kind = "resnet18",
        .build =
            [batch_norm](const ModelConfig& config) {
              return std::make_shared<Vgg16>(batch_norm, config);
            },
    };
  };
  return {entry(false), entry(true)};
}

}  // namespace xception
