#include "xception/train/run_config.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <utility>

#include "xception/core/error.h"
#include "xception/core/json.h"
#include "xception/models/registry.h"
#include "xception/train/epoch_steps.h"
#include "xception/train/recipes.h"

namespace xception {
namespace {

using nlohmann::json;

struct Section {
  std::string name;  ///< empty: the keys that stand beside the sections
  std::vector<Key> keys;
};

std::vector<Key> for_training_only(std::vector<Key> keys) {
  for (auto& key : keys) key.use.training_only = true;
  return keys;
}

/// All keys, in the order in which they are written.
std::vector<Section> sections_of(RunConfig& config) {
  return {{"model", config.model.keys()},
          {"data", config.data.keys()},
          {"augment", config.augment.keys()},
          {"optimizer", for_training_only(config.optimizer.keys())},
          {"schedule", for_training_only(config.schedule.keys())},
          {"average", for_training_only(config.average.keys())},
          {"mix", for_training_only(config.mix.keys())},
          {"train", config.train.keys()},
          {"parallel", config.parallel.keys()},
          {"",
           {{"seed", &config.seed, between(0, 9007199254740992.0),
             "of the split, the order, the augmentation and the initial weights"},
            {.name = "description",
             .variable = &config.description,
             .meaning = "what the config is for, in words",
             .use = {.decides = false, .may_change = true, .newer = true}}}}};
}

/// Every dotted key, for proposals across sections.
std::vector<std::string> all_keys() {
  std::vector<std::string> names;
  for (const auto& key : config_schema()) names.push_back(key.key);
  return names;
}

/// Reads a whole config object; `where` names its source in messages.
void read_config(const json& object, const std::string& where, RunConfig& config) {
  const auto elsewhere = all_keys();
  const auto sections = sections_of(config);
  // What stands beside the sections comes first, so that an unknown section is found first.
  json top = object;
  auto names = elsewhere;
  for (const auto& [name, keys] : sections) {
    if (name.empty()) continue;
    names.push_back(name);
    if (top.is_object()) top.erase(name);
  }
  read_keys(top, where, "", sections.back().keys, config.given, names);
  for (const auto& [name, keys] : sections) {
    if (name.empty() || !object.contains(name)) continue;
    read_keys(object.at(name), where, name, keys, config.given, elsewhere);
  }
}

/// The dotted keys that an object of a config's form gives.
std::vector<std::string> keys_in(const json& object) {
  std::vector<std::string> keys;
  for (const auto& [name, value] : object.items()) {
    if (!value.is_object()) {
      keys.push_back(name);
      continue;
    }
    for (const auto& item : value.items()) keys.push_back(fmt::format("{}.{}", name, item.key()));
  }
  return keys;
}

/// One `key=value` as a JSON object with that key alone.
json override_object(const std::string& text) {
  const auto equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    throw input_error("config", "command line: {}: expected key=value, such as train.epochs=3",
                      text);
  }
  const auto key = text.substr(0, equals);
  const auto value_text = text.substr(equals + 1);
  auto value = json_or_discarded(value_text);
  if (value.is_discarded()) {
    const auto first = value_text.find_first_not_of(" \t\r\n");
    if (first != std::string::npos && (value_text[first] == '[' || value_text[first] == '{')) {
      (void)parse_json(value_text, "config", fmt::format("command line: {}", key));
    }
    value = value_text;
    try {
      (void)value.dump();
    } catch (const json::exception&) {
      throw input_error("config", "command line: {}: the value is not UTF-8", key);
    }
  }
  json object;
  object[dotted_key(key)] = value;
  return object;
}

}  // namespace

RunConfig load_config(const std::optional<std::filesystem::path>& file,
                      const std::vector<std::string>& overrides) {
  RunConfig config;
  if (const auto* recipe = file ? recipe_of(*file) : nullptr) {
    read_config(parse_json(recipe->text, "config", file->string()), file->string(), config);
  } else if (file) {
    read_config(read_json(*file, "config"), file->string(), config);
  }
  const auto meant_for = config.model.name;
  auto of_file = config.given;
  override_config(config, overrides);
  if (file) {
    for (const auto& text : overrides) {
      for (const auto& key : keys_in(override_object(text))) of_file.erase(key);
    }
    leave_out_foreign_keys(config, meant_for, of_file, file->string());
  }
  return config;
}

void leave_out_foreign_keys(RunConfig& config, const std::string& meant_for,
                            const std::set<std::string>& keys, const std::string& where) {
  const auto left_out = reset_foreign_keys(config.model, meant_for, keys);
  if (left_out.empty()) return;
  for (const auto& key : left_out) config.given.erase(key);
  config.notices.push_back(fmt::format("{} is for {}: {} left out, which {} doesn't read", where,
                                       meant_for, fmt::join(left_out, ", "), config.model.name));
}

void override_config(RunConfig& config, const std::vector<std::string>& overrides) {
  std::map<std::string, std::string> given;  // the override of each key
  for (const auto& text : overrides) {
    const auto object = override_object(text);
    for (const auto& key : keys_in(object)) {
      const auto [earlier, is_new] = given.emplace(key, text);
      if (is_new || earlier->second == text) continue;
      throw input_error("config", "command line: {} is given twice, by {} and by {}; keep one", key,
                        earlier->second, text);
    }
    read_config(object, "command line", config);
  }
}

RunConfig config_of_json(const nlohmann::json& json, const std::string& where) {
  RunConfig config;
  read_config(json, where, config);
  return config;
}

void resolve_model(RunConfig& config) {
  resolve_model(config.model, config.data.image_size, config.given);
}

void resolve_batch_size(RunConfig& config, int ranks) {
  auto& train = config.train;
  if (const auto each = train.batch_size_per_device; each > 0) {
    if (config.given.contains("train.batch_size") && train.batch_size != each * ranks) {
      throw input_error(
          "config",
          "train.batch_size_per_device: found {} for {} ranks beside train.batch_size "
          "{}; expected one of the two",
          each, ranks, train.batch_size);
    }
    train.batch_size = each * ranks;
    train.batch_size_per_device = 0;
    config.given.erase("train.batch_size_per_device");
    config.given.insert("train.batch_size");
  }
}

void check_batch_size(const RunConfig& config, int ranks) {
  const auto& train = config.train;
  for (const auto size : batch_sizes(train)) {
    if (size % ranks == 0 || train.batch_size % ranks != 0) continue;
    throw input_error(
        "config",
        "train.batch_size_gamma: found {}, with which batches grow from {} to {}, not "
        "a multiple of the {} ranks; expected a whole number, and a "
        "train.batch_size_max that is a multiple of {}",
        train.batch_size_gamma, train.batch_size, size, ranks, ranks);
  }
  const auto over = train.batch_size % ranks;
  if (over == 0) return;
  const auto more = train.batch_size - over + ranks;
  throw input_error(
      "config",
      "train.batch_size: found {} for {} ranks, expected a multiple of {}, such as {}{}; "
      "a run that goes on keeps its batch size: choose another number of ranks",
      train.batch_size, ranks, ranks,
      train.batch_size > ranks ? fmt::format("{} or ", train.batch_size - over) : "", more);
}

nlohmann::ordered_json to_json(RunConfig config) {
  nlohmann::ordered_json object;
  for (const auto& [name, keys] : sections_of(config)) {
    if (name.empty()) {
      object.update(write_keys(keys));
    } else {
      object[name] = write_keys(keys);
    }
  }
  return object;
}

std::vector<KeyDescription> config_schema() {
  RunConfig config;
  std::vector<KeyDescription> all;
  for (const auto& [name, keys] : sections_of(config)) {
    for (auto& key : list_keys(name, keys)) all.push_back(std::move(key));
  }
  return all;
}

nlohmann::ordered_json decisive_config(nlohmann::ordered_json config) {
  for (const auto& key : config_schema()) {
    const auto dot = key.key.find('.');
    if (key.use.decides && !key.use.newer) continue;
    if (dot == std::string::npos) {
      if (!key.use.decides) config.erase(key.key);
      continue;
    }
    const auto section = config.find(key.key.substr(0, dot));
    if (section == config.end() || !section->is_object()) continue;
    const auto item = section->find(key.key.substr(dot + 1));
    if (item == section->end()) continue;
    if (!key.use.decides || *item == key.default_value) section->erase(item);
    if (section->empty()) config.erase(section);
  }
  const auto batch_norm = config.value("/parallel/batch_norm"_json_pointer, std::string());
  config.erase("parallel");
  if (!batch_norm.empty()) config["batch_norm"] = batch_norm;
  return config;
}

void check_together(const RunConfig& config) {
  const auto& train = config.train;
  check_schedule(config.schedule, config.optimizer.lr, train.epochs);
  if (train.stop_after_epoch > train.epochs) {
    throw input_error("config",
                      "train.stop_after_epoch: found {}, but train.epochs is {}; expected at most "
                      "that, or 0 to train all",
                      train.stop_after_epoch, train.epochs);
  }
  if (train.accumulate > train.batch_size) {
    throw input_error("config",
                      "train.accumulate: found {}, but train.batch_size is {}, so that parts would "
                      "be empty; expected at most that",
                      train.accumulate, train.batch_size);
  }
  if (train.batch_size_max > 0 && train.batch_size_max < train.batch_size) {
    throw input_error("config",
                      "train.batch_size_max: found {}, but train.batch_size is {}; expected at "
                      "least that, or 0 for no limit",
                      train.batch_size_max, train.batch_size);
  }
  check_optimizer(config.optimizer);
  check_average(config.average, train.epochs);
  if (train.freeze_batch_norm_epoch > train.epochs) {
    throw input_error(
        "config",
        "train.freeze_batch_norm_epoch: found {}, but train.epochs is {}; expected at "
        "most that, or 0 for never",
        train.freeze_batch_norm_epoch, train.epochs);
  }
  if (train.freeze_batch_norm_epoch > 0 && config.average.batch_norm == "recompute") {
    throw input_error(
        "config",
        "average.batch_norm: found recompute, but train.freeze_batch_norm_epoch is {} "
        "and keeps BatchNorm's statistics; expected average, or no freezing",
        train.freeze_batch_norm_epoch);
  }
  check_mix(config.mix);
  const auto& model = find_model(config.model.name);
  const bool has_aux = config.model.aux_logits && config.model.aux_weight.value_or(1.0) > 0.0 &&
                       config.data.image_size >= model.aux_min_image_size;
  check_progressive_size(
      config.data, std::max(min_image_size(config.model), has_aux ? model.aux_min_image_size : 0));
  const auto& parallel = config.parallel;
  if (parallel.heartbeat > 0 && parallel.heartbeat < 1) {
    throw input_error("config",
                      "parallel.heartbeat: found {} s, in which no rank can be sure to be heard; "
                      "expected at least 1, or 0 for never",
                      parallel.heartbeat);
  }
}

std::vector<std::string> unread_keys(const RunConfig& config) {
  const auto values = to_json(config);
  std::vector<std::string> sentences;
  const auto add = [&](const std::string& section, auto part, auto defaults) {
    for (const auto& key :
         unread_keys(section, part.keys(), defaults.keys(), config.given, part.name)) {
      sentences.push_back(fmt::format("{} is {}, but {}.name {} doesn't read it", key,
                                      values.at(dotted_key(key)).dump(), section, part.name));
    }
  };
  add("optimizer", config.optimizer, OptimizerConfig());
  add("schedule", config.schedule, ScheduleConfig());
  add("average", config.average, AverageConfig());
  return sentences;
}

}  // namespace xception
