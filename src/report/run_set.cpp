#include "xception/report/run_set.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <map>
#include <set>

#include "xception/config/decisive.h"
#include "xception/core/error.h"
#include "xception/models/registry.h"

namespace xception {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kKeysInLabel = 3;

std::string title_of(const std::string& model) {
  static const std::map<std::string, std::string> titles = {{"xception", "Xception"},
                                                            {"inception_v3", "Inception V3"}};
  if (model.empty()) return "unknown model";
  const auto found = titles.find(model);
  return found == titles.end() ? model : found->second;
}

std::size_t registry_place(const std::string& model) {
  const auto& registry = model_registry();
  const auto found = std::find_if(registry.begin(), registry.end(),
                                  [&](const ModelEntry& entry) { return entry.name == model; });
  return static_cast<std::size_t>(found - registry.begin());
}

/// What decides the result of a run, the seed aside; a run without a config has only its model.
Json identity_of(const RunRecord& run) {
  auto config = decisive_config(run.config);
  config.erase("seed");
  if (config.empty()) config["model"]["name"] = run.model();
  config["data_checksum"] = run.data_checksum();
  return config;
}

/// Dotted keys and values; a list counts as one value.
void flatten(const Json& json, const std::string& prefix, std::map<std::string, std::string>& out) {
  for (const auto& [key, value] : json.items()) {
    const auto name = prefix.empty() ? key : prefix + "." + key;
    if (value.is_object()) {
      flatten(value, name, out);
    } else {
      out[name] = value.is_string() ? value.get<std::string>() : value.dump();
    }
  }
}

std::map<std::string, std::string> flat(const Variant& variant) {
  std::map<std::string, std::string> values;
  flatten(variant.config, "", values);
  return values;
}

/// Keys whose values aren't the same in all of these.
std::vector<std::string> differing_keys(
    const std::vector<std::map<std::string, std::string>>& all) {
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

/// `elu`, `lr=0.001`: a value, with its key where it doesn't speak for itself.
std::string value_text(const std::map<std::string, std::string>& values, const std::string& key,
                       bool only_key) {
  const auto found = values.find(key);
  auto value = found == values.end() ? std::string("unset") : found->second;
  if (value.size() > 24) value = value.substr(0, 8) + "...";
  if (value.empty()) value = "empty";
  const bool is_word = std::isalpha(static_cast<unsigned char>(value.front())) != 0 &&
                       value != "true" && value != "false" && value != "null";
  return only_key && is_word ? value : key.substr(key.rfind('.') + 1) + "=" + value;
}

/// Labels the variants of one model by what sets them apart: `Xception (elu)`.
void label(std::vector<Variant*>& variants) {
  std::vector<std::map<std::string, std::string>> values;
  for (const auto* variant : variants) values.push_back(flat(*variant));
  const auto keys = differing_keys(values);
  std::map<std::string, int> used;
  for (std::size_t i = 0; i < variants.size(); ++i) {
    std::vector<std::string> parts;
    for (std::size_t k = 0; k < std::min(keys.size(), kKeysInLabel); ++k) {
      parts.push_back(value_text(values[i], keys[k], keys.size() == 1));
    }
    auto text = title_of(variants[i]->model);
    if (!parts.empty()) text += fmt::format(" ({})", fmt::join(parts, ", "));
    if (const int before = used[text]++; before > 0) text += fmt::format(" #{}", before + 1);
    variants[i]->label = text;
  }
}

/// Whether two runs are one and its copy: the same seed, and every answer the same.
bool is_copy(const RunRecord& a, const RunRecord& b) {
  return a.seed() == b.seed() && a.answers && b.answers && a.answers->same_images(*b.answers) &&
         a.answers->confidences == b.answers->confidences &&
         a.answers->answers == b.answers->answers && a.train_seconds() == b.train_seconds();
}

void add_to_variant(RunSet& set, Variant& variant, std::size_t run) {
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
    auto identity = identity_of(set.runs[i]);
    const auto [place, is_new] = places.emplace(identity.dump(), set.variants.size());
    if (is_new) {
      set.variants.push_back({.model = set.runs[i].model(),
                              .data_checksum = set.runs[i].data_checksum(),
                              .config = std::move(identity)});
    }
    add_to_variant(set, set.variants[place->second], i);
  }
  std::map<std::string, std::vector<Variant*>> by_model;
  for (auto& variant : set.variants) by_model[variant.model].push_back(&variant);
  for (auto& [model, variants] : by_model) label(variants);
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

void note_problems(RunSet& set) {
  for (const auto& run : set.runs) {
    const auto name = run.folder.string();
    if (!run.is_complete()) {
      set.notices.push_back(
          fmt::format("{}: not complete (status {}, {} epochs); its curve is "
                      "shown, its test isn't counted",
                      name, run.status(), run.history.size()));
    }
    for (const auto& problem : run.problems) {
      set.notices.push_back(fmt::format("{}: {}", name, problem));
    }
  }
  std::set<std::string> checksums;
  for (const auto& variant : set.variants) {
    if (!variant.data_checksum.empty()) checksums.insert(variant.data_checksum);
  }
  if (checksums.size() > 1) {
    set.notices.push_back(fmt::format(
        "the runs are of {} different data sets; only runs of the same one are compared",
        checksums.size()));
  }
}

}  // namespace

RunSet collect_runs(const std::vector<std::filesystem::path>& paths,
                    const std::string& checkpoint) {
  RunSet set;
  set.checkpoint = checkpoint;
  for (const auto& folder : find_runs(paths, set.notices)) {
    auto run = read_run(folder, checkpoint);
    if (!run.is_complete()) run.answers.reset();
    if (run.history.empty() && !run.answers) {
      set.notices.push_back(fmt::format(
          "{}: left out: no epoch and no test in it{}", folder.string(),
          run.problems.empty() ? "" : fmt::format(" ({})", fmt::join(run.problems, "; "))));
      continue;
    }
    if (set.class_names.empty() && run.summary.contains("data")) {
      const auto names = run.summary["data"].value("classes", Json::array());
      if (names.is_array()) {
        for (const auto& name : names) {
          if (name.is_string()) set.class_names.push_back(name.get<std::string>());
        }
      }
    }
    set.runs.push_back(std::move(run));
  }
  if (set.runs.empty()) {
    throw input_error("report", "{}", set.notices.empty() ? "no runs" : set.notices.front());
  }
  group(set);
  note_problems(set);
  return set;
}

std::vector<std::vector<std::string>> config_differences(const RunSet& set) {
  std::vector<std::map<std::string, std::string>> values;
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
