#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "xception/report/run_record.h"

namespace xception {

/// Runs that differ in nothing but their seed (or were repeated with the same one).
struct Variant {
  std::string label = {};  ///< the model, and what sets it apart from others of the same model
  std::string model = {};
  std::vector<std::size_t> runs = {};  ///< places in RunSet::runs, by seed
  std::string data_checksum = {};
  nlohmann::ordered_json config = {};  ///< what decides the result, without the seed
};

/// Everything that a report is about.
struct RunSet {
  std::vector<RunRecord> runs = {};
  std::vector<Variant> variants = {};  ///< in the registry's order of models, then by label
  std::vector<std::string> class_names = {};
  std::vector<std::string> notices = {};  ///< what is missing or was left out, in words
  std::string checkpoint = {};            ///< whose test answers: `best` or `last`
};

/// Reads all runs and groups them. Errors (input): no run that says anything; else notices.
[[nodiscard]] RunSet collect_runs(const std::vector<std::filesystem::path>& paths,
                                  const std::string& checkpoint);

/// A row a key that differs between the variants: the key, then each variant's value as JSON.
[[nodiscard]] std::vector<std::vector<std::string>> config_differences(const RunSet& set);

}  // namespace xception
