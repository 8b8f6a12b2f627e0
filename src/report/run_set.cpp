#include "xception/report/run_set.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

#include "labels.h"
#include "xception/core/error.h"
#include "xception/models/registry.h"
#include "xception/train/run_config.h"

namespace xception {
namespace {

using Json = nlohmann::ordered_json;

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
  label_variants(set);
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
  if (model.empty()) return "unknown model";
  for (const auto& entry : model_registry()) {
    if (entry.name == model) return entry.title;
  }
  return model;
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

}  // namespace xception
