#include "xception/weights/recognize.h"

#include <ATen/core/Tensor.h>
#include <fmt/format.h>

#include <algorithm>

#include "names.h"
#include "xception/models/inception_v3.h"
#include "xception/models/xception.h"

namespace xception {
namespace {

constexpr std::int64_t kPaperBlocks = 12;  // of which 8 are the middle flow's
constexpr double kPaperStem = 32;          // channels
constexpr double kKerasEps = 1e-3;

/// An extent of a tensor; 0 where there is no such tensor.
std::int64_t extent(const TensorMap& tensors, const std::string& name, std::int64_t dimension) {
  const auto found = tensors.find(name);
  return found == tensors.end() || dimension >= found->second.dim() ? 0
                                                                    : found->second.size(dimension);
}

void set(KnownWeights& known, const std::string& key, const std::string& value) {
  known.settings.emplace_back("model." + key, value);
}

void set_classes(KnownWeights& known, std::int64_t classes) {
  if (classes < 2) return;
  known.model.num_classes = classes;
  set(known, "num_classes", std::to_string(classes));
}

/// The options of an Xception with so many blocks and stem channels.
void set_size(KnownWeights& known, std::int64_t blocks, std::int64_t stem_channels) {
  auto& options = known.model.own<XceptionOptions>();
  if (blocks != kPaperBlocks) {
    options.middle_blocks = blocks - (kPaperBlocks - options.middle_blocks);
    set(known, "middle_blocks", std::to_string(options.middle_blocks));
  }
  if (stem_channels != static_cast<std::int64_t>(kPaperStem)) {
    options.width = static_cast<double>(stem_channels) / kPaperStem;
    set(known, "width", fmt::format("{}", options.width));
  }
}

KnownWeights torch_xception(const TensorMap& tensors) {
  KnownWeights known{.source = "timm legacy_xception, or xception's own"};
  set(known, "name", "xception");
  if (tensors.contains("conv1.bias")) {
    known.model.variant = "notebook";
    set(known, "variant", "notebook");
  }
  std::int64_t blocks = 0;
  while (tensors.contains(fmt::format("block{}.rep.1.weight", blocks + 1)) ||
         tensors.contains(fmt::format("block{}.rep.1.conv1.weight", blocks + 1))) {
    ++blocks;
  }
  set_size(known, blocks, extent(tensors, "conv1.weight", 0));
  set_classes(known, extent(tensors, "fc.weight", 0));
  known.remarks.emplace_back(
      "timm's published weights want images normalized with mean 0.5 and "
      "deviation 0.5");
  return known;
}

std::optional<KnownWeights> keras_xception(const WeightFile& weights) {
  KnownWeights known{.source = "Keras Xception"};
  set(known, "name", "xception");
  std::int64_t separable = 0;
  std::int64_t stem = 0;
  std::int64_t classes = 0;
  for (const auto& name : weights.order) {
    const auto& tensor = weights.tensors.at(name);
    if (name.ends_with("/depthwise_kernel")) ++separable;
    if (name.ends_with("/kernel") && tensor.dim() == 4 && stem == 0) stem = tensor.size(3);
    if (name.ends_with("/kernel") && tensor.dim() == 2) classes = tensor.size(1);
  }
  // Three of the middle flow's blocks each, 10 others.
  constexpr std::int64_t kOthers = 10;
  if (separable < kOthers || (separable - kOthers) % 3 != 0 || stem == 0) return {};
  set_size(known, (separable - kOthers) / 3 + kPaperBlocks - 8, stem);
  known.model.bn_eps = kKerasEps;
  set(known, "bn_eps", fmt::format("{}", kKerasEps));
  known.model.own<XceptionOptions>().padding = "same";
  set(known, "padding", "same");
  set_classes(known, classes);
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
  set_classes(known, extent(tensors, "fc.weight", 0));
  known.remarks.emplace_back(
      "torchvision's published weights want model.transform_input=true with images normalized with "
      "ImageNet's mean and deviation; timm's don't");
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
  return {};
}

std::string weights_source(const WeightFile& weights) {
  const auto known = recognize_weights(weights);
  return known ? known->source : "unknown";
}

}  // namespace xception
