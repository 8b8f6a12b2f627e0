#include "xception/report/run_set.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "names.h"
#include "xception/core/error.h"
#include "xception/models/registry.h"
#include "xception/train/run_config.h"

namespace xception {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kKeysInLabel = 3;
constexpr std::size_t kLongestLabel = 44;
constexpr std::size_t kMostAttempts = 12;  // at a name that no other variant has

std::size_t registry_place(const std::string& model) {
  const auto& registry = model_registry();
  const auto found = std::find_if(registry.begin(), registry.end(),
                                  [&](const ModelEntry& entry) { return entry.name == model; });
  return static_cast<std::size_t>(found - registry.begin());
}

/// What decides the result of a run, the seed aside; a run without a config has only its model.
Json identity_of(const RunSet& set, const RunRecord& run) {
  auto config = decisive_config(run.config);
  config.erase("seed");
  if (config.empty()) config["model"]["name"] = run.model();
  config["data_checksum"] = set.data_checksum;
  return config;
}

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

void label(RunSet& set) {
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

/// Whether two runs are one and its copy: the same seed, and every answer the same.
bool is_copy(const RunRecord& a, const RunRecord& b) {
  return a.seed() == b.seed() && a.answers && b.answers && a.answers->same_images(*b.answers) &&
         a.answers->confidences == b.answers->confidences &&
         a.answers->answers == b.answers->answers && a.train_seconds() == b.train_seconds();
}

void add_to_variant(RunSet& set, RunVariant& variant, std::size_t run) {
  for (const auto other : variant.runs) {
    const auto& a = set.runs[other];
    const auto& b = set.runs[run];
    if (is_copy(a, b)) {
      set.notices.push_back(
          fmt::format("{}: a copy of {}, counted once", b.folder.string(), a.folder.string()));
      return;
    }
    if (a.seed() == b.seed()) {
      set.notices.push_back(fmt::format(
          "{}: same config and seed as {}; both are in the means, only the first is paired",
          b.folder.string(), a.folder.string()));
      break;
    }
  }
  variant.runs.push_back(run);
}

void group(RunSet& set) {
  std::map<std::string, std::size_t> places;
  for (std::size_t i = 0; i < set.runs.size(); ++i) {
    auto identity = identity_of(set, set.runs[i]);
    const auto [place, is_new] = places.emplace(identity.dump(), set.variants.size());
    if (is_new) {
      set.variants.push_back({.model = set.runs[i].model(), .config = std::move(identity)});
    }
    add_to_variant(set, set.variants[place->second], i);
  }
  label(set);
  std::stable_sort(set.variants.begin(), set.variants.end(), [](const auto& a, const auto& b) {
    return std::pair(registry_place(a.model), a.label) <
           std::pair(registry_place(b.model), b.label);
  });
  for (auto& variant : set.variants) {
    std::stable_sort(variant.runs.begin(), variant.runs.end(), [&](std::size_t a, std::size_t b) {
      return set.runs[a].seed() < set.runs[b].seed();
    });
  }
}

/// `notices` gets what is missing in a set's runs.
void note_problems(const RunSet& set, std::vector<std::string>& notices) {
  for (const auto& run : set.runs) {
    const auto name = run.folder.string();
    if (!run.is_complete()) {
      notices.push_back(
          fmt::format("{}: not complete (status {}, {} epochs); its curve is "
                      "shown, its test isn't counted",
                      name, text_of(run.status()), run.history.size()));
    }
    if (run.data_checksum().empty() && !set.data_checksum.empty()) {
      notices.push_back(fmt::format(
          "{}: nothing says which data it was trained on; taken for that of most runs", name));
    }
    for (const auto& problem : run.problems)
      notices.push_back(fmt::format("{}: {}", name, problem));
  }
}

std::vector<std::string> class_names_of(const RunRecord& run) {
  const auto names = run.summary.value("/data/classes"_json_pointer, Json::array());
  std::vector<std::string> texts;
  if (!names.is_array()) return texts;
  for (const auto& name : names) {
    if (name.is_string()) texts.push_back(name.get<std::string>());
  }
  return texts;
}

/// Puts each run to those on the same data; the set that most runs were tested on comes first.
/// Runs of which nothing says their data are there too.
std::vector<RunSet> divide_by_data(std::vector<RunRecord> runs, const std::string& checkpoint) {
  std::vector<std::string> order;
  std::map<std::string, std::pair<std::size_t, std::size_t>> counts;  // tested, all
  for (const auto& run : runs) {
    const auto checksum = run.data_checksum();
    if (checksum.empty()) continue;
    auto& [tested, all] = counts[checksum];
    if (all++ == 0) order.push_back(checksum);
    tested += run.answers ? 1 : 0;
  }
  std::stable_sort(order.begin(), order.end(), [&](const std::string& a, const std::string& b) {
    return counts.at(a) > counts.at(b);
  });
  if (order.empty()) order.emplace_back();
  std::vector<RunSet> sets;
  for (const auto& checksum : order) {
    sets.push_back({.data_checksum = checksum, .checkpoint = checkpoint});
  }
  for (auto& run : runs) {
    const auto checksum = run.data_checksum();
    const auto place = std::find(order.begin(), order.end(), checksum);
    auto& set = sets[place == order.end() ? 0 : static_cast<std::size_t>(place - order.begin())];
    if (set.class_names.empty()) set.class_names = class_names_of(run);
    if (set.data_name.empty() || run.environment.contains("data_label"))
      set.data_name = run.data_name();
    set.runs.push_back(std::move(run));
  }
  return sets;
}

}  // namespace

std::string model_title(const std::string& model) {
  static const std::map<std::string, std::string> titles = {{"xception", "Xception"},
                                                            {"inception_v3", "Inception V3"}};
  if (model.empty()) return "unknown model";
  const auto found = titles.find(model);
  return found == titles.end() ? model : found->second;
}

RunSet collect_runs(const std::vector<std::filesystem::path>& paths,
                    const std::string& checkpoint) {
  std::vector<std::string> notices;
  std::vector<RunRecord> runs;
  for (const auto& folder : find_runs(paths, notices)) {
    auto run = read_run(folder, checkpoint);
    if (!run.is_complete()) run.answers.reset();
    if (run.history.empty() && !run.answers) {
      notices.push_back(fmt::format(
          "{}: left out: no epoch and no test in it{}", run.folder.string(),
          run.problems.empty() ? "" : fmt::format(" ({})", fmt::join(run.problems, "; "))));
      continue;
    }
    runs.push_back(std::move(run));
  }
  if (runs.empty()) {
    throw input_error("report", "{}", notices.empty() ? "no runs" : notices.front());
  }
  auto sets = divide_by_data(std::move(runs), checkpoint);
  for (auto& set : sets) {
    group(set);
    notices.insert(notices.end(), set.notices.begin(), set.notices.end());
    set.notices.clear();
    note_problems(set, notices);
  }
  auto first = std::move(sets.front());
  sets.erase(sets.begin());
  first.other_data = std::move(sets);
  first.notices = std::move(notices);
  return first;
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
