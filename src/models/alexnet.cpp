#include "xception/models/alexnet.h"

#include <memory>
#include <string>

#include "xception/models/layers.h"

namespace xception {
namespace {

using torch::nn::Conv2d;
using torch::nn::Conv2dOptions;
using torch::nn::Linear;

constexpr std::int64_t kAlexNetMinImageSize = 63;  // the least that leaves a pixel
constexpr std::int64_t kAlexNetPooledSize = 6;     // of the features that the linear layers read
constexpr std::int64_t kAlexNetHidden = 4096;
constexpr double kAlexNetDefaultDropout = 0.5;

}  // namespace

// Modules are built in torchvision's order: so they draw the same initial values. Their names are
// places in its Sequential, in which ReLU, pooling and dropout count.

AlexNet::AlexNet(const ModelConfig& config)
    : dropout_(config.dropout.value_or(kAlexNetDefaultDropout)) {
  check_variant(config, {"torchvision"});
  const auto features = register_module("features", std::make_shared<torch::nn::Module>());
  const auto add = [&](const std::string& name, const Conv2dOptions& options, bool pool) {
    steps_.push_back({features->register_module(name, Conv2d(options)), pool});
  };
  add("0", Conv2dOptions(3, 64, 11).stride(4).padding(2), /*pool=*/true);
  add("3", Conv2dOptions(64, 192, 5).padding(2), /*pool=*/true);
  add("6", Conv2dOptions(192, 384, 3).padding(1), /*pool=*/false);
  add("8", Conv2dOptions(384, 256, 3).padding(1), /*pool=*/false);
  add("10", Conv2dOptions(256, 256, 3).padding(1), /*pool=*/true);
  const auto classifier = register_module("classifier", std::make_shared<torch::nn::Module>());
  const auto add_linear = [&](const std::string& name, std::int64_t in, std::int64_t out) {
    linears_.push_back(classifier->register_module(name, Linear(in, out)));
  };
  add_linear("1", 256 * kAlexNetPooledSize * kAlexNetPooledSize, kAlexNetHidden);
  add_linear("4", kAlexNetHidden, kAlexNetHidden);
  add_linear("6", kAlexNetHidden, config.num_classes);
}

ClassifierOutput AlexNet::compute(const torch::Tensor& images) {
  // Sizes are those of 224 px images.
  torch::Tensor x = images;
  for (auto& step : steps_) {
    x = step.conv->forward(x).relu_();
    // (N, 64, 27, 27), (N, 192, 13, 13), (N, 384, 13, 13), (N, 256, 13, 13), (N, 256, 6, 6)
    if (step.pool) x = pool_add(x, {}, /*padding=*/0, kernels());
  }
  x = at::adaptive_avg_pool2d(x, {kAlexNetPooledSize, kAlexNetPooledSize})
          .flatten(1);  // (N, 256 * 6 * 6)
  for (std::size_t i = 0; i + 1 < linears_.size(); ++i) {
    x = at::dropout(x, dropout_, is_training());
    x = linears_[i]->forward(x).relu_();  // (N, 4096)
  }
  return {.logits = linears_.back()->forward(x), .aux = {}};  // (N, num_classes)
}

ModelEntry alexnet_entry() {
  return {
      .name = "alexnet",
      .title = "AlexNet",
      .description =
          "five convolutions, three linear layers (Krizhevsky, arXiv 1404.5997), as torchvision "
          "has it",
      .variants = {"torchvision"},
      .default_image_size = 224,
      .min_image_size = kAlexNetMinImageSize,
      .default_dropout = kAlexNetDefaultDropout,
      .kind = "resnet18",
      .build = [](const ModelConfig& config) { return std::make_shared<AlexNet>(config); },
  };
}

}  // namespace xception
