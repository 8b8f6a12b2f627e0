#include "xception/weights/recognize.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <algorithm>

#include "names.h"
#include "xception/models/inception_v3.h"
#include "xception/models/resnet.h"
#include "xception/models/stem.h"
#include "xception/models/xception.h"

namespace xception {
namespace {

constexpr std::int64_t kPaperBlocks = 12;      // of which 8 are the middle flow's
constexpr std::int64_t kPaperChannels = 2048;  // of the last convolution: the least rounded
constexpr std::int64_t kInceptionChannels = 2048;
constexpr std::int64_t kGoogLeNetChannels = 1024;
constexpr std::int64_t kHiddenFeatures = 4096;  // of VGG and AlexNet
constexpr std::int64_t kMostMiddleBlocks = 64;  // of a config
constexpr double kLargestWidth = 8;             // of a config
constexpr double kKerasEps = 1e-3;

/// A tensor that has values; nullptr where there is none. Sizes that are taken from it are then no
/// larger than the file justifies.
const at::Tensor* tensor_of(const TensorMap& tensors, const std::string& name, std::int64_t dim) {
  const auto found = tensors.find(name);
  const bool usable =
      found != tensors.end() && found->second.dim() == dim && found->second.numel() > 0;
  return usable ? &found->second : nullptr;
}

void set(KnownWeights& known, const std::string& key, const std::string& value) {
  known.settings.emplace_back("model." + key, value);
}

/// classes, features: extents of the final layer's weights.
void set_classes(KnownWeights& known, std::int64_t classes, std::int64_t features,
                 std::int64_t expected_features) {
  if (classes < 2 || features != expected_features) return;
  known.model.num_classes = classes;
  set(known, "num_classes", std::to_string(classes));
}

/// The options of an Xception with so many blocks, and channels before and after the last
/// convolution. Whether there is one.
bool set_size(KnownWeights& known, std::int64_t blocks, std::int64_t in, std::int64_t out) {
  auto& options = known.model.own<XceptionOptions>();
  const auto middle = blocks - (kPaperBlocks - options.middle_blocks);
  if (middle < 0 || middle > kMostMiddleBlocks || in < out / 2) return false;
  if (middle != options.middle_blocks) {
    options.middle_blocks = middle;
    set(known, "middle_blocks", std::to_string(middle));
  }
  if (out != kPaperChannels) {
    auto& width = known.model.own<WidthOptions>().width;
    width = static_cast<double>(out) / static_cast<double>(kPaperChannels);
    if (width > kLargestWidth) return false;
    set(known, "width", fmt::format("{}", width));
  }
  return true;
}

/// What the paper's network doesn't have.
void set_variations(KnownWeights& known, const TensorMap& tensors) {
  auto& options = known.model.own<XceptionOptions>();
  if (tensors.contains("conv1.bias")) {
    known.model.variant = "notebook";
    set(known, "variant", "notebook");
  }
  if (!tensors.contains("block1.skip.weight")) {
    options.residual = false;
    set(known, "residual", "false");
  }
  const auto* depthwise = tensor_of(tensors, "block1.rep.0.conv1.weight", 4);
  const auto* pointwise = tensor_of(tensors, "block1.rep.0.pointwise.weight", 4);
  if (depthwise != nullptr && pointwise != nullptr && pointwise->size(0) != pointwise->size(1) &&
      depthwise->size(0) == pointwise->size(0)) {
    options.separable_order = "pointwise_first";
    set(known, "separable_order", options.separable_order);
  }
}

std::optional<KnownWeights> torch_xception(const TensorMap& tensors) {
  KnownWeights known{.source = "timm legacy_xception, or xception's own"};
  set(known, "name", "xception");
  std::int64_t blocks = 0;
  while (tensors.contains(fmt::format("block{}.rep.1.weight", blocks + 1)) ||
         tensors.contains(fmt::format("block{}.rep.1.conv1.weight", blocks + 1))) {
    ++blocks;
  }
  const auto* last = tensor_of(tensors, "conv4.pointwise.weight", 4);
  if (last == nullptr || !set_size(known, blocks, last->size(1), last->size(0))) return {};
  set_variations(known, tensors);
  if (const auto* fc = tensor_of(tensors, "fc.weight", 2)) {
    set_classes(known, fc->size(0), fc->size(1), last->size(0));
  }
  known.remarks.emplace_back(
      "timm's published weights want images normalized with mean 0.5 and deviation 0.5; an "
      "activation inside the separable convolutions doesn't show in a file");
  return known;
}

std::optional<KnownWeights> keras_xception(const WeightFile& weights) {
  KnownWeights known{.source = "Keras Xception"};
  set(known, "name", "xception");
  std::int64_t separable = 0;
  const at::Tensor* last = nullptr;
  const at::Tensor* dense = nullptr;
  for (const auto& name : weights.order) {
    if (name.ends_with("/depthwise_kernel")) ++separable;
    if (name.ends_with("/pointwise_kernel")) last = tensor_of(weights.tensors, name, 4);
    if (name.ends_with("/kernel")) dense = tensor_of(weights.tensors, name, 2);
  }
  // Three of the middle flow's blocks each, 10 others.
  constexpr std::int64_t kOthers = 10;
  if (separable < kOthers || (separable - kOthers) % 3 != 0 || last == nullptr) return {};
  const auto blocks = (separable - kOthers) / 3 + kPaperBlocks - XceptionOptions().middle_blocks;
  if (!set_size(known, blocks, last->size(2), last->size(3))) return {};
  known.model.bn_eps = kKerasEps;
  set(known, "bn_eps", fmt::format("{}", kKerasEps));
  known.model.own<XceptionOptions>().padding = "same";
  set(known, "padding", "same");
  if (dense != nullptr) set_classes(known, dense->size(1), dense->size(0), last->size(3));
  known.remarks.emplace_back(
      "Keras's published weights want images normalized with mean 0.5 and deviation 0.5");
  return known;
}

KnownWeights torch_inception(const TensorMap& tensors) {
  KnownWeights known{.source = "torchvision or timm inception_v3"};
  known.model.name = "inception_v3";
  set(known, "name", "inception_v3");
  known.model.aux_logits = tensors.contains("AuxLogits.fc.weight");
  if (!known.model.aux_logits) set(known, "aux_logits", "false");
  if (const auto* fc = tensor_of(tensors, "fc.weight", 2)) {
    set_classes(known, fc->size(0), fc->size(1), kInceptionChannels);
  }
  known.remarks.emplace_back(
      "torchvision's published weights want model.transform_input=true with images normalized with "
      "ImageNet's mean and deviation; timm's don't");
  return known;
}

/// What torchvision's published weights of networks without a transform of their own want.
constexpr const char* kImageNetImages =
    "published weights want images normalized with ImageNet's mean and deviation";

KnownWeights torchvision_model(const std::string& name, const std::string& source) {
  KnownWeights known{.source = source};
  known.model.name = name;
  set(known, "name", name);
  known.remarks.emplace_back(kImageNetImages);
  return known;
}

KnownWeights torch_googlenet(const TensorMap& tensors) {
  auto known = torchvision_model("googlenet", "torchvision googlenet");
  known.model.aux_logits = tensors.contains("aux1.fc2.weight");
  if (!known.model.aux_logits) set(known, "aux_logits", "false");
  if (const auto* fc = tensor_of(tensors, "fc.weight", 2)) {
    set_classes(known, fc->size(0), fc->size(1), kGoogLeNetChannels);
  }
  known.remarks.emplace_back("torchvision's also want model.transform_input=true");
  return known;
}

/// How many blocks a stage of a ResNet has.
std::int64_t blocks_of(const TensorMap& tensors, std::size_t stage) {
  std::int64_t blocks = 0;
  while (tensors.contains(fmt::format("layer{}.{}.conv1.weight", stage, blocks))) ++blocks;
  return blocks;
}

std::optional<KnownWeights> torch_resnet(const TensorMap& tensors) {
  const auto* stem = tensor_of(tensors, "conv1.weight", 4);
  const auto* wide = tensor_of(tensors, "layer1.0.conv2.weight", 4);
  // Wide ResNets and ResNeXts have other channels and groups.
  if (stem == nullptr || wide == nullptr || wide->size(0) != 64 || wide->size(1) != 64) return {};
  const bool bottleneck = tensors.contains("layer1.0.conv3.weight");
  for (const auto& depth : resnet_depths()) {
    bool same = depth.bottleneck == bottleneck;
    for (std::size_t i = 0; same && i < depth.blocks.size(); ++i) {
      same = blocks_of(tensors, i + 1) == depth.blocks[i];
    }
    if (!same) continue;
    auto known = torchvision_model(depth.name, "torchvision or timm " + depth.name);
    if (stem->size(2) == 3) {
      known.model.own<StemOptions>().stem = "small";
      set(known, "stem", "small");
    }
    if (const auto* fc = tensor_of(tensors, "fc.weight", 2)) {
      set_classes(known, fc->size(0), fc->size(1), bottleneck ? 2048 : 512);
    }
    return known;
  }
  return {};
}

/// VGG and AlexNet have layers of the same names.
std::optional<KnownWeights> torch_features(const TensorMap& tensors) {
  const auto* first = tensor_of(tensors, "features.0.weight", 4);
  const auto* last = tensor_of(tensors, "classifier.6.weight", 2);
  if (first == nullptr || last == nullptr) return {};
  // The last of VGG-16's convolutions; 19 layers have more.
  const auto ends_with = [&](int place) {
    return tensors.contains(fmt::format("features.{}.weight", place)) &&
           !tensors.contains(fmt::format("features.{}.weight", place + 2)) &&
           !tensors.contains(fmt::format("features.{}.weight", place + 3));
  };
  std::string name;
  if (first->size(2) == 11) {
    name = "alexnet";
  } else if (first->size(2) == 3 && ends_with(28)) {
    name = "vgg16";
  } else if (first->size(2) == 3 && ends_with(41) && tensors.contains("features.41.running_mean")) {
    name = "vgg16_bn";
  } else {
    return {};
  }
  auto known = torchvision_model(name, "torchvision " + name);
  set_classes(known, last->size(0), last->size(1), kHiddenFeatures);
  return known;
}

}  // namespace

std::optional<KnownWeights> recognize_weights(const WeightFile& weights) {
  if (has_keras_names(weights)) {
    const bool separable =
        std::any_of(weights.order.begin(), weights.order.end(),
                    [](const auto& n) { return n.ends_with("/depthwise_kernel"); });
    return separable ? keras_xception(weights) : std::nullopt;
  }
  const auto tensors = from_torch(weights).tensors;
  if (tensors.contains("block1.rep.0.conv1.weight")) return torch_xception(tensors);
  if (tensors.contains("Mixed_5b.branch1x1.conv.weight")) return torch_inception(tensors);
  if (tensors.contains("inception3a.branch1.conv.weight")) return torch_googlenet(tensors);
  if (tensors.contains("layer1.0.conv1.weight")) return torch_resnet(tensors);
  if (tensors.contains("features.0.weight")) return torch_features(tensors);
  return {};
}

std::string weights_source(const WeightFile& weights) {
  const auto known = recognize_weights(weights);
  return known ? known->source : "unknown";
}

}  // namespace xception
