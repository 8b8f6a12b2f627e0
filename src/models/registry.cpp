#include "xception/models/registry.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "xception/core/error.h"
#include "xception/models/batch_norm.h"
#include "xception/models/inception_v3.h"
#include "xception/models/xception.h"

namespace xception {
namespace {

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// `; did you mean "x"?` or nothing.
std::string suggestion(const std::string& word, const std::vector<std::string>& names) {
  const std::string nearest = nearest_name(word, names);
  return nearest.empty() ? "" : fmt::format("; did you mean \"{}\"?", nearest);
}

/// Refuses a given key that the model would silently disregard.
void check_keys(const ModelEntry& entry, ModelConfig& config, const std::set<std::string>& given) {
  ModelConfig defaults;
  const auto keys = config.keys();
  auto unread = unread_keys("model", keys, defaults.keys(), given, entry.name);
  // A resolved config says 0 for a model without an auxiliary head.
  if (config.aux_weight.value_or(0.0) == 0.0) std::erase(unread, "model.aux_weight");
  if (unread.empty()) return;
  std::vector<std::string> options;
  for (const auto& key : keys) {
    const bool of_all = key.readers.empty() && key.name != "name" && key.name != "variant";
    if (of_all || has(key.readers, entry.name)) options.push_back(key.name);
  }
  throw input_error("models", "{}: {} doesn't read it; its options are {}",
                    *std::min_element(unread.begin(), unread.end()), entry.name,
                    fmt::join(options, ", "));
}

void resolve_aux_weight(const ModelEntry& entry, ModelConfig& config, std::int64_t image_size) {
  const bool has_head = entry.aux_min_image_size > 0;
  const bool large_enough = image_size >= entry.aux_min_image_size;
  if (!config.aux_weight) {
    config.aux_weight = has_head && config.aux_logits && large_enough ? 0.4 : 0.0;
  }
  const double weight = *config.aux_weight;
  if (weight == 0.0 || !has_head) return;
  if (!config.aux_logits) {
    throw input_error("models",
                      "model.aux_weight: {}, but model.aux_logits=false leaves the auxiliary head "
                      "out; set model.aux_weight=0",
                      weight);
  }
  if (!large_enough) {
    throw input_error("models",
                      "model.aux_weight: {}, but {}'s auxiliary head needs images of {} px, "
                      "data.image_size is {}; set model.aux_weight=0",
                      weight, entry.name, entry.aux_min_image_size, image_size);
  }
}

void set_bn_eps(Classifier& model, double eps) {
  for (const auto& module : model.modules(/*include_self=*/false)) {
    if (auto* norm = module->as<torch::nn::BatchNorm2dImpl>()) norm->options.eps(eps);
  }
}

}  // namespace

const std::vector<ModelEntry>& model_registry() {
  static const std::vector<ModelEntry> table = {
      xception_entry(),
      inception_v3_entry(),
  };
  return table;
}

const ModelEntry& find_model(const std::string& name) {
  std::vector<std::string> names;
  for (const ModelEntry& entry : model_registry()) {
    if (entry.name == name) return entry;
    names.push_back(entry.name);
  }
  throw input_error("models", "model.name: \"{}\", expected {}{}", name, fmt::join(names, " or "),
                    suggestion(name, names));
}

std::int64_t min_image_size(const ModelConfig& config) {
  const ModelEntry& entry = find_model(config.name);
  return entry.min_image_size_with ? entry.min_image_size_with(config) : entry.min_image_size;
}

std::vector<Key> ModelConfig::keys() {
  std::vector<std::string> dropouts;
  std::vector<std::string> epsilons;
  for (const auto& entry : model_registry()) {
    dropouts.push_back(fmt::format("{} {}", entry.name, entry.default_dropout));
    epsilons.push_back(fmt::format("{} {}", entry.name, entry.default_bn_eps));
  }
  std::vector<Key> keys = {
      {"name", &name, {}, "network, as `xception models` lists it"},
      {"variant", &variant, {}, "variant of the network; empty: its first"},
      {"num_classes", &num_classes, between(2, 1e6), "number of classes"},
      {"dropout", &dropout, below(0, 1),
       fmt::format("dropout before the classifier; null: the network's own ({})",
                   fmt::join(dropouts, ", "))},
      {"bn_eps", &bn_eps, Range{.low = 0, .high = 1, .low_open = true},
       fmt::format("epsilon of BatchNorm; null: the network's own ({}); Keras's is 0.001",
                   fmt::join(epsilons, ", "))}};
  for (const auto& entry : model_registry()) {
    if (entry.keys) add_keys(keys, entry.name, entry.keys(*this));
  }
  return keys;
}

void resolve_model(ModelConfig& config, std::int64_t image_size,
                   const std::set<std::string>& given) {
  const ModelEntry& entry = find_model(config.name);
  if (config.variant.empty()) config.variant = entry.variants.front();
  if (!has(entry.variants, config.variant)) {
    throw input_error("models", "model.variant: \"{}\", {} has {}{}", config.variant, entry.name,
                      fmt::join(entry.variants, " and "),
                      suggestion(config.variant, entry.variants));
  }
  check_keys(entry, config, given);
  if (const auto smallest = min_image_size(config); image_size < smallest) {
    throw input_error("models", "data.image_size: {} px, {} needs at least {}", image_size,
                      entry.name, smallest);
  }
  if (!config.dropout) config.dropout = entry.default_dropout;
  if (!config.bn_eps) config.bn_eps = entry.default_bn_eps;
  resolve_aux_weight(entry, config, image_size);
}

std::shared_ptr<Classifier> build_model(const ModelConfig& config) {
  auto model = find_model(config.name).build(config);
  if (config.bn_eps) set_bn_eps(*model, *config.bn_eps);
  return model;
}

}  // namespace xception
