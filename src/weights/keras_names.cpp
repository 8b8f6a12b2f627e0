#include <algorithm>
#include <set>
#include <vector>

#include "names.h"
#include "xception/core/error.h"

namespace xception {
namespace {

enum class LayerKind { convolution, separable, norm, dense, other };

/// A module of ours, and the layer that it is in Keras's Xception.
struct Slot {
  LayerKind kind;
  std::string ours;
  std::string keras;  ///< empty: Keras gives it a number
};

/// A layer of the file's, in its order.
struct Layer {
  std::string name;
  LayerKind kind = LayerKind::other;
  std::map<std::string, at::Tensor> variables = {};
};

/// `block1_conv1/kernel` -> `block1_conv1`, `kernel`.
std::pair<std::string, std::string> parts(const std::string& name) {
  const auto slash = name.rfind('/');
  if (slash == std::string::npos) return {"", name};
  return {name.substr(0, slash), name.substr(slash + 1)};
}

std::vector<Slot> slots_of(const Classifier& model) {
  std::set<std::string> modules;
  for (const auto& item : model.named_modules()) modules.insert(item.key());
  std::vector<Slot> slots;
  const auto with_norm = [&](LayerKind kind, const std::string& ours, const std::string& norm,
                             const std::string& keras) {
    slots.push_back({kind, ours, keras});
    slots.push_back({LayerKind::norm, norm, keras.empty() ? "" : keras + "_bn"});
  };
  with_norm(LayerKind::convolution, "conv1", "bn1", "block1_conv1");
  with_norm(LayerKind::convolution, "conv2", "bn2", "block1_conv2");
  std::size_t block = 1;
  for (; modules.contains(fmt::format("block{}", block)); ++block) {
    const auto ours = fmt::format("block{}", block);
    std::size_t number = 0;
    constexpr std::size_t kMostModules = 16;  // of a block
    for (std::size_t i = 0; i < kMostModules; ++i) {
      if (!modules.contains(fmt::format("{}.rep.{}.pointwise", ours, i))) continue;
      with_norm(LayerKind::separable, fmt::format("{}.rep.{}", ours, i),
                fmt::format("{}.rep.{}", ours, i + 1),
                fmt::format("block{}_sepconv{}", block + 1, ++number));
    }
    if (modules.contains(ours + ".skip")) {
      with_norm(LayerKind::convolution, ours + ".skip", ours + ".skipbn", "");
    }
  }
  with_norm(LayerKind::separable, "conv3", "bn3", fmt::format("block{}_sepconv1", block + 1));
  with_norm(LayerKind::separable, "conv4", "bn4", fmt::format("block{}_sepconv2", block + 1));
  slots.push_back({LayerKind::dense, "fc", "predictions"});
  return slots;
}

LayerKind kind_of(const Layer& layer) {
  const auto& variables = layer.variables;
  if (variables.contains("depthwise_kernel")) return LayerKind::separable;
  if (variables.contains("moving_mean")) return LayerKind::norm;
  const auto kernel = variables.find("kernel");
  if (kernel == variables.end()) return LayerKind::other;
  return kernel->second.dim() == 4   ? LayerKind::convolution
         : kernel->second.dim() == 2 ? LayerKind::dense
                                     : LayerKind::other;
}

std::vector<Layer> layers_of(const WeightFile& weights) {
  std::vector<Layer> layers;
  std::map<std::string, std::size_t> places;
  for (const auto& name : weights.order) {
    const auto [layer, variable] = parts(name);
    const auto [found, added] = places.try_emplace(layer, layers.size());
    if (added) layers.push_back({.name = layer});
    layers[found->second].variables.emplace(variable, weights.tensors.at(name));
  }
  for (auto& layer : layers) layer.kind = kind_of(layer);
  return layers;
}

/// A variable's name in our module, and the variable in our layout; no name: it has no counterpart.
std::pair<std::string, at::Tensor> converted(LayerKind kind, const std::string& variable,
                                             const at::Tensor& tensor) {
  if (variable == "bias" && kind != LayerKind::separable) return {"bias", tensor};
  if (kind == LayerKind::norm) {
    static const std::map<std::string, std::string> kNames = {{"gamma", "weight"},
                                                              {"beta", "bias"},
                                                              {"moving_mean", "running_mean"},
                                                              {"moving_variance", "running_var"}};
    const auto found = kNames.find(variable);
    return {found == kNames.end() ? "" : found->second, tensor};
  }
  if (kind == LayerKind::dense && variable == "kernel") return {"weight", tensor.t()};
  if (tensor.dim() != 4) return {"", tensor};
  // (height, width, channels, a filter's results each)
  if (variable == "depthwise_kernel") return {"conv1.weight", tensor.permute({2, 3, 0, 1})};
  // (height, width, in, out)
  const auto ours = tensor.permute({3, 2, 0, 1});
  if (variable == "pointwise_kernel") return {"pointwise.weight", ours};
  return {variable == "kernel" ? "weight" : "", ours};
}

/// The layer of each slot; nullptr where the file has none.
std::vector<const Layer*> match(const std::vector<Slot>& slots, const std::vector<Layer>& layers) {
  std::vector<const Layer*> matched(slots.size(), nullptr);
  std::set<const Layer*> taken;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    for (const auto& layer : layers) {
      if (layer.kind != slots[i].kind || layer.name != slots[i].keras) continue;
      matched[i] = &layer;
      taken.insert(&layer);
    }
  }
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (matched[i] != nullptr) continue;
    const auto next = std::find_if(layers.begin(), layers.end(), [&](const Layer& layer) {
      return layer.kind == slots[i].kind && !taken.contains(&layer);
    });
    if (next == layers.end()) continue;
    matched[i] = &*next;
    taken.insert(&*next);
  }
  return matched;
}

}  // namespace

bool has_keras_names(const WeightFile& weights) {
  return std::any_of(weights.tensors.begin(), weights.tensors.end(), [](const auto& item) {
    const auto variable = parts(item.first).second;
    return variable == "moving_mean" || variable == "depthwise_kernel";
  });
}

NamedTensors from_keras(const Classifier& model, const WeightFile& weights) {
  const auto slots = slots_of(model);
  const auto layers = layers_of(weights);
  const auto matched = match(slots, layers);
  NamedTensors named;
  std::set<std::string> read;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (matched[i] == nullptr) continue;
    for (const auto& [variable, tensor] : matched[i]->variables) {
      const auto [name, ours] = converted(slots[i].kind, variable, tensor);
      if (name.empty()) continue;
      const auto theirs = matched[i]->name + "/" + variable;
      named.tensors.emplace(slots[i].ours + "." + name, ours);
      named.origin.emplace(slots[i].ours + "." + name, theirs);
      read.insert(theirs);
    }
  }
  for (const auto& [name, tensor] : weights.tensors) {
    if (!read.contains(name)) named.tensors.emplace(name, tensor);
  }
  return named;
}

NamedTensors from_torch(const WeightFile& weights) {
  NamedTensors named;
  const bool has_fc = weights.tensors.contains("fc.weight");
  for (const auto& [name, tensor] : weights.tensors) {
    auto ours = name;
    for (const std::string other : {"last_linear.", "classifier.", "head.fc."}) {
      for (const std::string part : {"weight", "bias"}) {
        if (!has_fc && name == other + part) ours = "fc." + part;
      }
    }
    named.tensors.emplace(ours, tensor);
    named.origin.emplace(ours, name);
  }
  return named;
}

}  // namespace xception
