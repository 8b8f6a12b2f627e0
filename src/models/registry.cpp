#include "xception/models/registry.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "xception/core/error.h"
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

/// Refuses a given option that the model would silently disregard.
void check_options(const ModelEntry& entry, const RunConfig& config) {
  static const std::string section = "model.";
  const auto values = to_json(config).at("model");
  const auto defaults = to_json(RunConfig{}).at("model");
  for (const std::string& key : config.given) {
    if (!key.starts_with(section)) continue;
    const std::string option = key.substr(section.size());
    if (option == "name" || option == "variant" || has(entry.options, option)) continue;
    // A resolved config says 0 for a model without an auxiliary head.
    if (option == "aux_weight" && config.model.aux_weight.value_or(0.0) == 0.0) continue;
    if (values.at(option) == defaults.at(option)) continue;
    throw input_error("models", "{}: {} doesn't read it; its options are {}", key, entry.name,
                      fmt::join(entry.options, ", "));
  }
}

void resolve_aux_weight(const ModelEntry& entry, RunConfig& config) {
  const bool has_head = entry.aux_min_image_size > 0;
  const bool large_enough = config.data.image_size >= entry.aux_min_image_size;
  if (!config.model.aux_weight) {
    config.model.aux_weight = has_head && config.model.aux_logits && large_enough ? 0.4 : 0.0;
  }
  const double weight = *config.model.aux_weight;
  if (weight == 0.0 || !has_head) return;
  if (!config.model.aux_logits) {
    throw input_error("models",
                      "model.aux_weight: {}, but model.aux_logits=false leaves the auxiliary head "
                      "out; set model.aux_weight=0",
                      weight);
  }
  if (!large_enough) {
    throw input_error("models",
                      "model.aux_weight: {}, but {}'s auxiliary head needs images of {} px, "
                      "data.image_size is {}; set model.aux_weight=0",
                      weight, entry.name, entry.aux_min_image_size, config.data.image_size);
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

void resolve_model(RunConfig& config) {
  const ModelEntry& entry = find_model(config.model.name);
  if (config.model.variant.empty()) config.model.variant = entry.variants.front();
  if (!has(entry.variants, config.model.variant)) {
    throw input_error("models", "model.variant: \"{}\", {} has {}{}", config.model.variant,
                      entry.name, fmt::join(entry.variants, " and "),
                      suggestion(config.model.variant, entry.variants));
  }
  check_options(entry, config);
  if (config.data.image_size < entry.min_image_size) {
    throw input_error("models", "data.image_size: {} px, {} needs at least {}",
                      config.data.image_size, entry.name, entry.min_image_size);
  }
  if (!config.model.dropout) config.model.dropout = entry.default_dropout;
  resolve_aux_weight(entry, config);
}

std::shared_ptr<Classifier> build_model(const ModelConfig& config) {
  return find_model(config.name).build(config);
}

}  // namespace xception
