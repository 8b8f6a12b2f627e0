#include "sweep_json.h"

#include <fmt/ranges.h>

#include <algorithm>

#include "xception/core/json.h"
#include "xception/train/run_config.h"

namespace xception {
namespace {

using nlohmann::json;

constexpr std::int64_t kLargest = 1'000'000;

}  // namespace

Key whole_number(const std::string& name, std::int64_t& value, std::int64_t low) {
  return {name, &value, between(static_cast<double>(low), static_cast<double>(kLargest)),
          fmt::format("a whole number >= {}, at most {}", low, kLargest)};
}

Error wrong(const std::string& where, const json& found, const std::string& expected) {
  return input_error("sweep", "{}: found {}, expected {}", where, shown(found), expected);
}

std::string place(const std::string& where, const std::string& name) {
  return fmt::format("{}: {}", where, name);
}

void read_object(const json& object, const std::string& where, const std::vector<Key>& keys) {
  if (!object.is_object()) throw wrong(where, object, "an object");
  std::vector<std::string> names;
  for (const auto& key : keys) names.push_back(key.name);
  for (const auto& [name, value] : object.items()) {
    if (std::find(names.begin(), names.end(), name) != names.end()) continue;
    const auto near = nearest_name(name, names);
    throw input_error("sweep", "{}: unknown key \"{}\"; expected one of {}{}", where, name,
                      fmt::join(names, ", "),
                      near.empty() ? "" : fmt::format("; did you mean {}?", near));
  }
  for (const auto& key : keys) {
    const auto item = object.find(key.name);
    if (item == object.end() || assign(key, *item).empty()) continue;
    throw wrong(place(where, key.name), *item, key.meaning);
  }
}

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

}  // namespace xception
