#include "xception/models/registry.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "xception/core/error.h"
#include "xception/models/alexnet.h"
#include "xception/models/batch_norm.h"
#include "xception/models/googlenet.h"
#include "xception/models/inception_v3.h"
#include "xception/models/resnet.h"
#include "xception/models/resnet9.h"
#include "xception/models/vgg.h"
#include "xception/models/xception.h"

namespace xception {
namespace {

bool has(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// `a, b or c`.
std::string in_words(std::vector<std::string> names, const std::string& conjunction) {
  if (names.size() < 2) return fmt::format("{}", fmt::join(names, ""));
  const auto last = std::move(names.back());
  names.pop_back();
  return fmt::format("{} {} {}", fmt::join(names, ", "), conjunction, last);
}

/// `0.5 for a and b, 0 for the others`: what models have by default, the commonest value last.
std::string defaults_text(const std::function<double(const ModelEntry&)>& value) {
  std::vector<std::pair<double, std::vector<std::string>>> groups;
  for (const auto& entry : model_registry()) {
    const auto same = std::find_if(groups.begin(), groups.end(),
                                   [&](const auto& group) { return group.first == value(entry); });
    auto& group = same == groups.end()
                      ? groups.emplace_back(value(entry), std::vector<std::string>())
                      : *same;
    group.second.push_back(entry.name);
  }
  std::stable_sort(groups.begin(), groups.end(),
                   [](const auto& a, const auto& b) { return a.second.size() < b.second.size(); });
  std::vector<std::string> parts;
  for (const auto& [number, names] : groups) {
    const bool last = &names == &groups.back().second;
    parts.push_back(fmt::format("{} for {}", number, last ? "the others" : in_words(names, "and")));
  }
  return fmt::format("{}", fmt::join(parts, ", "));
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
  // A resolved config says 0 for a model without auxiliary heads.
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
    config.aux_weight =
        has_head && config.aux_logits && large_enough ? entry.default_aux_weight : 0.0;
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
  static const std::vector<ModelEntry> table = [] {
    std::vector<ModelEntry> entries = {xception_entry(), inception_v3_entry(), googlenet_entry()};
    const auto add = [&](std::vector<ModelEntry> more) {
      for (auto& entry : more) entries.push_back(std::move(entry));
    };
    add(resnet_entries());
    add({resnet9_entry()});
    add(vgg_entries());
    add({alexnet_entry()});
    return entries;
  }();
  return table;
}

std::vector<std::string> one_model_of_each_kind() {
  std::vector<std::string> names;
  for (const auto& entry : model_registry()) {
    if (entry.kind.empty()) names.push_back(entry.name);
  }
  return names;
}

const ModelEntry& find_model(const std::string& name) {
  std::vector<std::string> names;
  for (const ModelEntry& entry : model_registry()) {
    if (entry.name == name) return entry;
    names.push_back(entry.name);
  }
  throw input_error("models", "model.name: \"{}\", expected {}{}", name, in_words(names, "or"),
                    suggestion(name, names));
}

std::int64_t min_image_size(const ModelConfig& config) {
  const ModelEntry& entry = find_model(config.name);
  return entry.min_image_size_with ? entry.min_image_size_with(config) : entry.min_image_size;
}

std::vector<Key> ModelConfig::keys() {
  const auto dropouts = defaults_text([](const auto& entry) { return entry.default_dropout; });
  const auto epsilons = defaults_text([](const auto& entry) { return entry.default_bn_eps; });
  std::vector<Key> keys = {
      {"name", &name, {}, "network, as `xception models` lists it"},
      {"variant", &variant, {}, "variant of the network; empty: its first"},
      {"num_classes", &num_classes, between(2, 1e6), "number of classes"},
      {"dropout", &dropout, below(0, 1),
       fmt::format("dropout before the classifier; null: the network's own ({})", dropouts)},
      {"bn_eps", &bn_eps, Range{.low = 0, .high = 1, .low_open = true},
       fmt::format("epsilon of BatchNorm; null: the network's own ({}); Keras's is 0.001",
                   epsilons)}};
  for (const auto& entry : model_registry()) {
    if (entry.keys) add_keys(keys, entry.name, entry.keys(*this));
  }
  return keys;
}

std::vector<Key> ModelConfig::aux_keys() {
  std::vector<std::string> weights;
  for (const auto& entry : model_registry()) {
    if (entry.aux_min_image_size == 0) continue;
    weights.push_back(fmt::format("{} for {}", entry.default_aux_weight, entry.name));
    if (entry.aux_min_image_size > entry.min_image_size) {
      weights.back() += fmt::format(" from {} px", entry.aux_min_image_size);
    }
  }
  return {{.name = "aux_weight",
           .variable = &aux_weight,
           .accepts = between(0, 10),
           .meaning = fmt::format("weight of each auxiliary head's loss; null: {}, else 0",
                                  fmt::join(weights, ", ")),
           .use = {.training_only = true}},
          {.name = "aux_logits", .variable = &aux_logits, .meaning = "build the auxiliary heads"}};
}

void resolve_model(ModelConfig& config, std::int64_t image_size,
                   const std::set<std::string>& given) {
  const ModelEntry& entry = find_model(config.name);
  if (config.variant.empty()) config.variant = entry.variants.front();
  if (!has(entry.variants, config.variant)) {
    throw input_error("models", "model.variant: \"{}\", {} has {}{}", config.variant, entry.name,
                      in_words(entry.variants, "and"), suggestion(config.variant, entry.variants));
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

std::vector<std::string> reset_foreign_keys(ModelConfig& config, const std::string& meant_for,
                                            const std::set<std::string>& keys) {
  const auto& registry = model_registry();
  const bool is_known = std::any_of(registry.begin(), registry.end(),
                                    [&](const auto& entry) { return entry.name == config.name; });
  std::vector<std::string> reset;
  if (config.name == meant_for || !is_known) return reset;
  ModelConfig defaults;
  const auto values = write_keys(defaults.keys());
  const auto current = write_keys(config.keys());
  for (const auto& key : config.keys()) {
    const bool is_foreign =
        key.name == "variant" || (!key.readers.empty() && !has(key.readers, config.name));
    const auto dotted = "model." + key.name;
    if (!is_foreign || !keys.contains(dotted) || current.at(key.name) == values.at(key.name)) {
      continue;
    }
    (void)assign(key, values.at(key.name));
    reset.push_back(dotted);
  }
  return reset;
}

void check_variant(const ModelConfig& config, const std::vector<std::string>& variants) {
  if (config.variant.empty() || has(variants, config.variant)) return;
  throw input_error("models", "{}: variant \"{}\": expected {}", config.name, config.variant,
                    in_words(variants, "or"));
}

std::shared_ptr<Classifier> build_model(const ModelConfig& config) {
  auto model = find_model(config.name).build(config);
  if (config.bn_eps) set_bn_eps(*model, *config.bn_eps);
  return model;
}

}  // namespace xception
