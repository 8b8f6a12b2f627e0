#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "xception/report/run_record.h"

namespace xception {

/// Runs that differ in nothing but their seed (or were repeated with the same one).
struct RunVariant {
  /// The model, and what sets it apart from others of the same model: `Xception (relu)`. Where that
  /// is much, all variants go by the names of their runs, `RunSet::by_run`.
  std::string label = {};
  std::string short_label = {};  ///< for charts; as distinct
  std::string model = {};
  std::vector<std::size_t> runs = {};  ///< places in RunSet::runs, by seed
  nlohmann::ordered_json config = {};  ///< what decides the result, without the seed
};

/// What a model of the registry is called in a report: `Inception V3`.
[[nodiscard]] std::string model_title(const std::string& model);

/// Runs on one data set, which can be compared.
struct RunSet {
  std::vector<RunRecord> runs = {};
  std::vector<RunVariant> variants = {};  ///< in the registry's order of models, then by label
  bool by_run = false;                    ///< whether labels are names of runs
  std::string data_checksum = {};         ///< empty if nothing tells
  std::string data_name = {};             ///< likewise
  std::vector<std::string> class_names = {};
  std::vector<std::string> notices = {};  ///< what is missing or was left out, in words
  std::string checkpoint = {};            ///< whose test answers: `best` or `last`
  /// The runs on other data, a set each; what is missing there is among this one's notices.
  std::vector<RunSet> other_data = {};
};

/// Reads all runs and groups them. The set is of the data that most runs were tested on. Errors
/// (input): no run that says anything; else notices.
[[nodiscard]] RunSet collect_runs(const std::vector<std::filesystem::path>& paths,
                                  const std::string& checkpoint);

/// A row a key that differs between the variants: the key, then each variant's value, `-` where it
/// has none. A list of transforms reads `resize, rotate(degrees=10)`.
[[nodiscard]] std::vector<std::vector<std::string>> config_differences(const RunSet& set);

}  // namespace xception
