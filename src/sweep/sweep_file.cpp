#include "xception/sweep/sweep_file.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "xception/config/config.h"
#include "xception/config/dotted_key.h"
#include "xception/core/error.h"
#include "xception/core/json.h"

namespace xception {
namespace {

using nlohmann::json;

constexpr std::int64_t kLargest = 1'000'000;

std::string shown(const json& value) {
  auto text = value.dump();
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

/// Reads the members of a JSON object one by one; what is left over is an error.
class Fields {
 public:
  /// where: the file and, for an object inside it, the key.
  Fields(const json& object, std::string where, std::vector<std::string> names)
      : object_(object), where_(std::move(where)), names_(std::move(names)) {
    if (!object_.is_object()) throw wrong("", object_, "an object");
    for (const auto& [key, value] : object_.items()) {
      if (std::find(names_.begin(), names_.end(), key) != names_.end()) continue;
      const auto near = nearest_name(key, names_);
      throw input_error("sweep", "{}: unknown key \"{}\"; expected one of {}{}", where_, key,
                        fmt::join(names_, ", "),
                        near.empty() ? "" : fmt::format("; did you mean {}?", near));
    }
  }

  [[nodiscard]] const json* find(const std::string& name) const {
    const auto item = object_.find(name);
    return item == object_.end() ? nullptr : &*item;
  }

  void read(const std::string& name, std::string& value) const {
    if (const auto* item = find(name)) {
      if (!item->is_string()) throw wrong(name, *item, "a text");
      value = item->get<std::string>();
    }
  }

  void read(const std::string& name, std::int64_t& value, std::int64_t low) const {
    if (const auto* item = find(name)) {
      if (!item->is_number_integer() || item->get<std::int64_t>() < low ||
          item->get<std::int64_t>() > kLargest) {
        throw wrong(name, *item, fmt::format("a whole number >= {}, at most {}", low, kLargest));
      }
      value = item->get<std::int64_t>();
    }
  }

  void read(const std::string& name, double& value) const {
    if (const auto* item = find(name)) {
      if (!item->is_number() || item->get<double>() < 0) throw wrong(name, *item, "a number >= 0");
      value = item->get<double>();
    }
  }

  [[nodiscard]] std::string place(const std::string& name) const {
    return name.empty() ? where_ : fmt::format("{}: {}", where_, name);
  }

  [[nodiscard]] Error wrong(const std::string& name, const json& found,
                            const std::string& expected) const {
    return input_error("sweep", "{}: found {}, expected {}", place(name), shown(found), expected);
  }

 private:
  const json& object_;
  std::string where_;
  std::vector<std::string> names_;
};

/// A member of the form {"dotted.key": value, ...}.
std::vector<std::pair<std::string, json>> settings_of(const json& object,
                                                      const std::string& where) {
  if (!object.is_object() || object.empty()) {
    throw input_error("sweep", "{}: found {}, expected an object of config keys and values", where,
                      shown(object));
  }
  static const auto known = [] {
    std::vector<std::string> names;
    for (const auto& key : config_schema()) names.push_back(key.key);
    return names;
  }();
  std::vector<std::pair<std::string, json>> settings;
  for (const auto& [key, value] : object.items()) {
    if (std::find(known.begin(), known.end(), key) == known.end()) {
      const auto near = nearest_name(key, known);
      throw input_error("sweep", "{}: unknown config key {}{}; xception config --schema lists them",
                        where, key, near.empty() ? "" : fmt::format(", did you mean {}?", near));
    }
    settings.emplace_back(key, value);
  }
  return settings;
}

std::vector<Axis> axes_of(const json& object, const std::string& where) {
  std::vector<Axis> axes;
  for (auto& [key, values] : settings_of(object, where)) {
    if (!values.is_array() || values.empty()) {
      throw input_error("sweep", "{}: {}: found {}, expected a list of at least one value", where,
                        key, shown(values));
    }
    axes.push_back({key, values.get<std::vector<json>>()});
  }
  return axes;
}

RandomAxis random_axis(const std::string& key, const json& object, const std::string& where) {
  using enum RandomAxis::Kind;
  const std::vector<std::pair<std::string, RandomAxis::Kind>> kinds = {
      {"uniform", uniform}, {"log_uniform", log_uniform}, {"integer", integer}, {"choice", choice}};
  const auto fail = [&] {
    return input_error("sweep",
                       "{}: {}: found {}, expected one of {{\"uniform\": [low, high]}}, "
                       "{{\"log_uniform\": [low, high]}} (both above 0), {{\"integer\": [low, "
                       "high]}}, {{\"choice\": [values]}}",
                       where, key, shown(object));
  };
  if (!object.is_object() || object.size() != 1) throw fail();
  RandomAxis axis{.key = key};
  const auto kind = std::find_if(kinds.begin(), kinds.end(),
                                 [&](const auto& k) { return k.first == object.begin().key(); });
  if (kind == kinds.end()) throw fail();
  axis.kind = kind->second;
  const auto& values = object.begin().value();
  if (!values.is_array() || values.empty()) throw fail();
  if (axis.kind == choice) {
    axis.choices = values.get<std::vector<json>>();
    return axis;
  }
  if (values.size() != 2 || !values[0].is_number() || !values[1].is_number()) throw fail();
  axis.low = values[0].get<double>();
  axis.high = values[1].get<double>();
  const bool whole =
      axis.kind != integer || (values[0].is_number_integer() && values[1].is_number_integer());
  const bool too_wide = axis.kind == integer && axis.high - axis.low > 1e9;
  if (axis.low > axis.high || !whole || too_wide || (axis.kind == log_uniform && axis.low <= 0))
    throw fail();
  return axis;
}

void read_random(const json& object, const std::string& where, SweepConfig& sweep) {
  const Fields fields(object, where, {"samples", "seed", "keys"});
  std::int64_t seed = 0;
  sweep.samples = 0;
  fields.read("samples", sweep.samples, 1);
  fields.read("seed", seed, 0);
  sweep.random_seed = static_cast<std::uint64_t>(seed);
  const auto* keys = fields.find("keys");
  if (keys == nullptr || sweep.samples == 0) {
    throw input_error("sweep", "{}: expected \"samples\" and \"keys\"", where);
  }
  for (const auto& [key, value] : settings_of(*keys, fields.place("keys"))) {
    sweep.random.push_back(random_axis(key, value, fields.place("keys")));
  }
}

void read_seeds(const json& value, const std::string& where, SweepConfig& sweep) {
  const bool count = value.is_number_integer() && value.get<std::int64_t>() >= 1 &&
                     value.get<std::int64_t>() <= 1'000'000;
  const bool list = value.is_array() && !value.empty() &&
                    std::all_of(value.begin(), value.end(), [](const json& seed) {
                      return seed.is_number_integer() && seed.get<std::int64_t>() >= 0;
                    });
  if (!count && !list) {
    throw input_error("sweep", "{}: found {}, expected a list of seeds, or how many (0, 1, ...)",
                      where, shown(value));
  }
  sweep.seeds.clear();
  if (list) sweep.seeds = value.get<std::vector<std::int64_t>>();
  for (std::int64_t i = 0; count && i < value.get<std::int64_t>(); ++i) sweep.seeds.push_back(i);
}

void read_metric(const Fields& fields, SweepConfig& sweep) {
  auto& metric = sweep.metric;
  fields.read("metric", metric.name);
  const auto names = metric_names(sweep.halving.has_value());
  if (std::find(names.begin(), names.end(), metric.name) == names.end()) {
    throw input_error("sweep", "{}: found {}, which {}; expected one of {}", fields.place("metric"),
                      metric.name,
                      sweep.halving ? "no epoch has (asha judges by epochs)" : "no run writes",
                      fmt::join(names, ", "));
  }
  metric.maximize = metric.name.ends_with("accuracy");
  std::string direction = metric.maximize ? "maximize" : "minimize";
  fields.read("direction", direction);
  if (direction != "maximize" && direction != "minimize") {
    throw input_error("sweep", "{}: found {}, expected maximize or minimize",
                      fields.place("direction"), direction);
  }
  metric.maximize = direction == "maximize";
}

/// Errors (input): a key that the sweep itself sets.
void check_free(const std::string& key, const std::string& where) {
  if (key == "seed") {
    throw input_error("sweep", "{}: seed: give \"seeds\" in the sweep file", where);
  }
  if (key == "parallel.threads" || key == "train.stop_after_epoch") {
    throw input_error("sweep", "{}: {}: the sweep itself sets it; take it out", where, key);
  }
}

/// Every swept key, once.
std::set<std::string> swept_keys(const SweepConfig& sweep, const std::string& where) {
  std::set<std::string> keys;
  const auto add = [&](const std::string& key) {
    check_free(key, where);
    if (key == "data.dir") {
      throw input_error("sweep", "{}: data.dir is swept, but all trials share one data set", where);
    }
    if (!keys.insert(key).second) {
      throw input_error("sweep", "{}: {} is swept twice; keep it in one of grid, zip, list, random",
                        where, key);
    }
  };
  for (const auto& axis : sweep.grid) add(axis.key);
  for (const auto& axis : sweep.zip) add(axis.key);
  for (const auto& axis : sweep.random) add(axis.key);
  std::set<std::string> listed;
  for (const auto& entry : sweep.list) {
    for (const auto& [key, value] : entry) listed.insert(key);
  }
  for (const auto& key : listed) add(key);
  return keys;
}

/// The base config with the file's `set` and the command line's overrides put in.
void read_base(const Fields& fields, const std::filesystem::path& file,
               const std::vector<std::string>& overrides, const std::set<std::string>& swept,
               SweepConfig& sweep) {
  std::string where = file.string() + ": base";
  if (const auto* base = fields.find("base")) {
    if (base->is_string()) {
      const auto path = file.parent_path() / base->get<std::string>();
      sweep.base = read_json(path, "sweep");
      where = path.string();
    } else if (base->is_object()) {
      sweep.base = *base;
    } else {
      throw fields.wrong("base", *base, "the name of a config file, or a config");
    }
  }
  const auto base_seed = config_of_json(sweep.base, where).seed;
  if (fields.find("seeds") == nullptr) sweep.seeds = {base_seed};
  if (const auto* fixed = fields.find("set")) {
    for (const auto& [key, value] : settings_of(*fixed, fields.place("set"))) {
      if (swept.contains(key)) {
        throw input_error("sweep", "{}: {} is also swept; keep one", fields.place("set"), key);
      }
      check_free(key, fields.place("set"));
      sweep.base[dotted_key(key)] = value;
    }
    (void)config_of_json(sweep.base, fields.place("set"));
  }
  const auto asked = load_config({}, overrides);
  const auto values = to_json(asked);
  for (const auto& key : asked.given) {
    check_free(key, "command line");
    if (swept.contains(key)) {
      throw input_error("sweep", "command line: {} is swept by {}; leave it, or take it out there",
                        key, file.string());
    }
    sweep.base[dotted_key(key)] = values.at(dotted_key(key));
  }
}

}  // namespace

std::vector<std::string> metric_names(bool each_epoch) {
  std::vector<std::string> names = {"validation_accuracy", "validation_loss", "train_accuracy",
                                    "train_loss"};
  if (!each_epoch) names.insert(names.end(), {"test_accuracy", "test_loss", "last_test_accuracy"});
  return names;
}

SweepConfig read_sweep(const std::filesystem::path& file,
                       const std::vector<std::string>& overrides) {
  const auto json = read_json(file, "sweep");
  const auto where = file.string();
  const Fields fields(json, where,
                      {"description", "base", "set", "grid", "zip", "list", "random", "seeds",
                       "metric", "direction", "retries", "limits", "asha"});
  SweepConfig sweep;
  sweep.name = file.stem().string();
  fields.read("description", sweep.description);
  if (const auto* grid = fields.find("grid")) sweep.grid = axes_of(*grid, fields.place("grid"));
  if (const auto* zip = fields.find("zip")) sweep.zip = axes_of(*zip, fields.place("zip"));
  for (const auto& axis : sweep.zip) {
    const auto& first = sweep.zip.front();
    if (axis.values.size() == first.values.size()) continue;
    throw input_error("sweep", "{}: {} has {} values and {} has {}; expected equally many",
                      fields.place("zip"), first.key, first.values.size(), axis.key,
                      axis.values.size());
  }
  if (const auto* list = fields.find("list")) {
    if (!list->is_array() || list->empty()) {
      throw fields.wrong("list", *list, "a list of at least one object");
    }
    for (std::size_t i = 0; i < list->size(); ++i) {
      sweep.list.push_back(settings_of((*list)[i], fmt::format("{}[{}]", fields.place("list"), i)));
    }
  }
  if (const auto* random = fields.find("random")) {
    read_random(*random, fields.place("random"), sweep);
  }
  if (const auto* seeds = fields.find("seeds")) read_seeds(*seeds, fields.place("seeds"), sweep);
  fields.read("retries", sweep.retries, 0);
  if (const auto* limits = fields.find("limits")) {
    const Fields limit(*limits, fields.place("limits"), {"trials", "epochs", "hours"});
    limit.read("trials", sweep.max_trials, 1);
    limit.read("epochs", sweep.max_epochs, 0);
    limit.read("hours", sweep.max_hours);
  }
  if (const auto* asha = fields.find("asha"); asha != nullptr && !asha->is_null()) {
    HalvingConfig halving;
    const Fields rungs(*asha, fields.place("asha"), {"min_epochs", "reduction"});
    rungs.read("min_epochs", halving.min_epochs, 1);
    rungs.read("reduction", halving.reduction, 2);
    sweep.halving = halving;
  }
  read_metric(fields, sweep);
  if (sweep.halving && swept_keys(sweep, where).contains("train.epochs")) {
    throw input_error(
        "sweep", "{}: asha: train.epochs is swept, so rungs can't be compared; keep one", where);
  }
  read_base(fields, file, overrides, swept_keys(sweep, where), sweep);
  return sweep;
}

}  // namespace xception
