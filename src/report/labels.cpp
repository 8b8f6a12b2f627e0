#include "labels.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "names.h"

namespace xception {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kKeysInLabel = 3;
constexpr std::size_t kLongestLabel = 44;
constexpr std::size_t kMostAttempts = 12;  // at a name that no other variant has

using Values = std::map<std::string, std::string>;

/// `relu`, `0.001`, `resize, rotate(degrees=10)`. Numbers are as short as tells them apart.
std::string value_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_array()) {
    std::vector<std::string> items;
    const bool nested =
        std::any_of(value.begin(), value.end(), [](const Json& item) { return item.is_array(); });
    const bool objects =
        std::any_of(value.begin(), value.end(), [](const Json& item) { return item.is_object(); });
    for (const auto& item : value) items.push_back(value_text(item));
    const auto text = fmt::format("{}", fmt::join(items, ", "));
    return items.empty() || nested || !objects ? "[" + text + "]" : text;
  }
  if (value.is_object()) {
    std::vector<std::string> members;
    for (const auto& [key, member] : value.items()) {
      if (key != "name") members.push_back(key + "=" + value_text(member));
    }
    const auto name = value.contains("name") ? value_text(value["name"]) : std::string();
    return members.empty() ? name : fmt::format("{}({})", name, fmt::join(members, ", "));
  }
  return value.dump();
}

/// Dotted keys and values; a list counts as one value.
void flatten(const Json& json, const std::string& prefix, Values& out) {
  for (const auto& [key, value] : json.items()) {
    const auto name = prefix.empty() ? key : prefix + "." + key;
    if (value.is_object()) {
      flatten(value, name, out);
    } else {
      out[name] = value_text(value);
    }
  }
}

Values flat(const RunVariant& variant) {
  Values values;
  flatten(variant.config, "", values);
  return values;
}

/// Keys whose values aren't the same in all of these.
std::vector<std::string> differing_keys(const std::vector<Values>& all) {
  std::set<std::string> keys;
  for (const auto& values : all) {
    for (const auto& [key, value] : values) keys.insert(key);
  }
  std::vector<std::string> differing;
  for (const auto& key : keys) {
    const auto value_in = [&](const auto& values) {
      const auto found = values.find(key);
      return found == values.end() ? std::string() : found->second;
    };
    const auto first = value_in(all.front());
    if (std::any_of(all.begin(), all.end(), [&](const auto& v) { return value_in(v) != first; })) {
      differing.push_back(key);
    }
  }
  return differing;
}

/// What keys are called in labels: their last part, where no two have the same.
std::map<std::string, std::string> short_keys(const std::vector<std::string>& keys) {
  std::map<std::string, std::string> names;
  std::map<std::string, int> uses;
  for (const auto& key : keys) ++uses[key.substr(key.rfind('.') + 1)];
  for (const auto& key : keys) {
    const auto last = key.substr(key.rfind('.') + 1);
    names[key] = uses[last] == 1 ? last : key;
  }
  return names;
}

/// `elu`, `lr=0.001`: a value, with its key where it doesn't speak for itself.
std::string part_of_label(const Values& values, const std::string& key, const std::string& name,
                          bool only_key) {
  const auto found = values.find(key);
  auto value = found == values.end() ? std::string("unset") : found->second;
  if (value.empty()) value = "empty";
  const bool is_word = std::isalpha(static_cast<unsigned char>(value.front())) != 0 &&
                       value != "true" && value != "false" && value != "null";
  return only_key && is_word ? value : name + "=" + value;
}

/// Labels the variants of one model by what sets them apart: `Xception (elu)`. Returns whether that
/// is little enough to be read in every sentence.
bool label_by_config(std::vector<RunVariant*>& variants) {
  std::vector<Values> values;
  for (const auto* variant : variants) values.push_back(flat(*variant));
  const auto keys = differing_keys(values);
  if (keys.size() > kKeysInLabel) return false;
  const auto names = short_keys(keys);
  std::map<std::string, int> used;
  for (std::size_t i = 0; i < variants.size(); ++i) {
    std::vector<std::string> parts;
    for (const auto& key : keys) {
      parts.push_back(part_of_label(values[i], key, names.at(key), keys.size() == 1));
    }
    auto text = model_title(variants[i]->model);
    auto short_text = text;
    if (!parts.empty()) {
      const auto apart = printable(fmt::format("{}", fmt::join(parts, ", ")));
      text += " (" + apart + ")";
      short_text = columns_of(text) > kNameColumns ? apart : text;
    }
    if (columns_of(text) > kLongestLabel || used[text]++ > 0) return false;
    variants[i]->label = text;
    variants[i]->short_label = short_text;
  }
  return true;
}

/// Names of a variant by its runs, from short ones to those that no other can have.
std::string name_by_run(const RunSet& set, const RunVariant& variant, std::size_t attempt) {
  std::vector<std::string> names;
  for (const auto run : variant.runs) names.push_back(set.runs[run].name);
  const bool alike = std::set(names.begin(), names.end()).size() == 1;
  if (attempt == 0) {
    if (alike) return names.front();
    if (auto start = common_start(names); !start.empty()) return start;
  }
  auto name = names.front();
  if (attempt > 1) {
    const auto folder =
        std::filesystem::absolute(set.runs[variant.runs.front()].folder / "").lexically_normal();
    std::vector<std::string> parts;
    for (const auto& part : folder.parent_path()) parts.push_back(part.string());
    parts.erase(parts.begin(),
                parts.end() - static_cast<std::ptrdiff_t>(std::min(parts.size(), attempt)));
    name = fmt::format("{}", fmt::join(parts, "/"));
  }
  return alike ? name : fmt::format("{} and {} more", name, names.size() - 1);
}

void label_by_run(RunSet& set) {
  auto& variants = set.variants;
  std::vector<std::string> names(variants.size());
  std::vector<std::size_t> attempts(variants.size(), 0);
  for (std::size_t round = 0; round < kMostAttempts; ++round) {
    std::map<std::string, std::vector<std::size_t>> places;
    for (std::size_t v = 0; v < variants.size(); ++v) {
      names[v] = printable(name_by_run(set, variants[v], attempts[v]));
      places[names[v]].push_back(v);
    }
    if (places.size() == variants.size()) break;
    for (const auto& [name, same] : places) {
      for (const auto v : same) attempts[v] += same.size() > 1 ? 1 : 0;
    }
  }
  std::map<std::string, int> used;
  for (auto& name : names) {
    if (const int before = used[name]++; before > 0) name += fmt::format(" #{}", before + 1);
  }
  names = shortened(names, kNameColumns);
  for (std::size_t v = 0; v < variants.size(); ++v) {
    variants[v].label = variants[v].short_label = names[v];
  }
  set.by_run = true;
}

}  // namespace

void label_variants(RunSet& set) {
  std::map<std::string, std::vector<RunVariant*>> by_model;
  for (auto& variant : set.variants) by_model[variant.model].push_back(&variant);
  const bool little = std::all_of(by_model.begin(), by_model.end(),
                                  [](auto& group) { return label_by_config(group.second); });
  if (!little) {
    label_by_run(set);
    return;
  }
  std::vector<std::string> names;
  for (const auto& variant : set.variants) names.push_back(variant.short_label);
  // What two models' variants have in common needs the model's name.
  if (std::set(names.begin(), names.end()).size() < names.size()) {
    for (std::size_t v = 0; v < names.size(); ++v) names[v] = set.variants[v].label;
  }
  names = shortened(names, kNameColumns);
  for (std::size_t v = 0; v < names.size(); ++v) set.variants[v].short_label = names[v];
}

std::vector<std::vector<std::string>> config_differences(const RunSet& set) {
  std::vector<Values> values;
  for (const auto& variant : set.variants) values.push_back(flat(variant));
  std::vector<std::vector<std::string>> rows;
  for (const auto& key : differing_keys(values)) {
    rows.push_back({key});
    for (const auto& variant : values) {
      const auto found = variant.find(key);
      rows.back().push_back(found == variant.end() ? "-" : found->second);
    }
  }
  return rows;
}

}  // namespace xception
