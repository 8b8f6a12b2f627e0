#include "xception/sweep/sweep_file.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "sweep_json.h"
#include "xception/core/error.h"
#include "xception/core/json.h"
#include "xception/train/recipes.h"
#include "xception/train/run_config.h"

namespace xception {
namespace {

using nlohmann::json;

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
  std::int64_t seed = 0;
  const json* keys = nullptr;
  read_object(object, where,
              {whole_number("samples", sweep.samples, 1),
               whole_number("seed", seed, 0),
               {"keys", &keys, {}, "config keys"}});
  sweep.random_seed = static_cast<std::uint64_t>(seed);
  if (keys == nullptr || sweep.samples == 0) {
    throw input_error("sweep", "{}: expected \"samples\" and \"keys\"", where);
  }
  for (const auto& [key, value] : settings_of(*keys, place(where, "keys"))) {
    sweep.random.push_back(random_axis(key, value, place(where, "keys")));
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

void check_metric(const std::string& where, const std::string& direction, SweepConfig& sweep) {
  const auto names = metric_names(sweep.halving.has_value());
  if (std::find(names.begin(), names.end(), sweep.metric.name) == names.end()) {
    throw input_error("sweep", "{}: metric: found {}, which {}; expected one of {}", where,
                      sweep.metric.name,
                      sweep.halving ? "no epoch has (asha judges by epochs)" : "no run writes",
                      fmt::join(names, ", "));
  }
  if (direction != "maximize" && direction != "minimize") {
    throw input_error("sweep", "{}: direction: found {}, expected maximize or minimize", where,
                      direction);
  }
  sweep.metric.maximize = direction == "maximize";
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

/// The members of a sweep file that are lists and objects; null: absent.
struct Members {
  const json *base = nullptr, *set = nullptr, *grid = nullptr, *zip = nullptr, *list = nullptr,
             *random = nullptr, *seeds = nullptr, *limits = nullptr, *asha = nullptr;
};

Members read_members(const json& file, const std::string& where, std::string& direction,
                     SweepConfig& sweep) {
  Members members;
  const std::string text = "a text";
  read_object(file, where,
              {{"description", &sweep.description, {}, text},
               {"base", &members.base, {}, "the name of a config file, recipe:NAME, or a config"},
               {"set", &members.set, {}, "config keys and values"},
               {"grid", &members.grid, {}, "config keys and lists of values"},
               {"zip", &members.zip, {}, "config keys and lists of values"},
               {"list", &members.list, {}, "a list of at least one object"},
               {"random", &members.random, {}, "samples and keys"},
               {"seeds", &members.seeds, {}, "a list of seeds, or how many"},
               {"metric", &sweep.metric.name, {}, text},
               {"direction", &direction, {}, text},
               whole_number("retries", sweep.retries, 0),
               {"limits", &members.limits, {}, "trials, epochs and hours"},
               {"asha", &members.asha, {}, "min_epochs and reduction"}});
  if (!file.contains("direction")) {
    direction = sweep.metric.name.ends_with("accuracy") ? "maximize" : "minimize";
  }
  return members;
}

/// The base config with the file's `set` and the command line's overrides put in.
void read_base(const Members& members, const std::filesystem::path& file,
               const std::vector<std::string>& overrides, const std::set<std::string>& swept,
               SweepConfig& sweep) {
  std::string where = file.string() + ": base";
  if (const auto* base = members.base) {
    const auto* recipe = base->is_string() ? recipe_of(base->get<std::string>()) : nullptr;
    if (recipe != nullptr) {
      where = base->get<std::string>();
      sweep.base = parse_json(recipe->text, "sweep", where);
    } else if (base->is_string()) {
      const auto path = file.parent_path() / base->get<std::string>();
      sweep.base = read_json(path, "sweep");
      where = path.string();
    } else if (base->is_object()) {
      sweep.base = *base;
    } else {
      throw wrong(where, *base, "the name of a config file, or a config");
    }
  }
  const auto base = config_of_json(sweep.base, where);
  const auto base_seed = base.seed;
  sweep.base_model = base.model.name;
  sweep.base_keys = base.given;
  if (members.seeds == nullptr) sweep.seeds = {base_seed};
  if (members.set != nullptr) {
    const auto set = place(file.string(), "set");
    for (const auto& [key, value] : settings_of(*members.set, set)) {
      if (swept.contains(key)) {
        throw input_error("sweep", "{}: {} is also swept; keep one", set, key);
      }
      check_free(key, set);
      sweep.base[dotted_key(key)] = value;
      sweep.base_keys.erase(key);
    }
    (void)config_of_json(sweep.base, set);
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
    sweep.base_keys.erase(key);
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
  SweepConfig sweep;
  sweep.name = file.stem().string();
  std::string direction;
  const auto members = read_members(json, where, direction, sweep);
  if (members.grid != nullptr) sweep.grid = axes_of(*members.grid, place(where, "grid"));
  if (members.zip != nullptr) sweep.zip = axes_of(*members.zip, place(where, "zip"));
  for (const auto& axis : sweep.zip) {
    const auto& first = sweep.zip.front();
    if (axis.values.size() == first.values.size()) continue;
    throw input_error("sweep", "{}: {} has {} values and {} has {}; expected equally many",
                      place(where, "zip"), first.key, first.values.size(), axis.key,
                      axis.values.size());
  }
  if (const auto* list = members.list) {
    if (!list->is_array() || list->empty()) {
      throw wrong(place(where, "list"), *list, "a list of at least one object");
    }
    for (std::size_t i = 0; i < list->size(); ++i) {
      sweep.list.push_back(settings_of((*list)[i], fmt::format("{}: list[{}]", where, i)));
    }
  }
  if (members.random != nullptr) read_random(*members.random, place(where, "random"), sweep);
  if (members.seeds != nullptr) read_seeds(*members.seeds, place(where, "seeds"), sweep);
  if (members.limits != nullptr) {
    read_object(*members.limits, place(where, "limits"),
                {whole_number("trials", sweep.max_trials, 1),
                 whole_number("epochs", sweep.max_epochs, 0),
                 {"hours", &sweep.max_hours, at_least(0), "a number >= 0"}});
  }
  if (members.asha != nullptr && !members.asha->is_null()) {
    auto& halving = sweep.halving.emplace();
    read_object(*members.asha, place(where, "asha"),
                {whole_number("min_epochs", halving.min_epochs, 1),
                 whole_number("reduction", halving.reduction, 2)});
  }
  check_metric(where, direction, sweep);
  if (sweep.halving && swept_keys(sweep, where).contains("train.epochs")) {
    throw input_error(
        "sweep", "{}: asha: train.epochs is swept, so rungs can't be compared; keep one", where);
  }
  read_base(members, file, overrides, swept_keys(sweep, where), sweep);
  return sweep;
}

}  // namespace xception
