#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace xception {

/// A config key and the values that a sweep gives it.
struct Axis {
  std::string key;  ///< dotted, `model.intermediate_activation`
  std::vector<nlohmann::json> values;
};

/// A config key that is drawn anew for each sample.
struct RandomAxis {
  enum class Kind { uniform, log_uniform, integer, choice };
  std::string key;
  Kind kind = Kind::uniform;
  double low = 0.0;  ///< of the first three; integer: both ends belong to it
  double high = 0.0;
  std::vector<nlohmann::json> choices = {};
};

/// What a sweep's trials are compared by.
struct Metric {
  std::string name = "validation_accuracy";
  bool maximize = true;
};

/// Asynchronous successive halving (Li et al., "A system for massively parallel hyperparameter
/// tuning", MLSys 2020, arXiv 1810.05934): trials stop at rungs of min_epochs, min_epochs *
/// reduction, ...; the best 1 / reduction of those that reached a rung go on to the next.
struct HalvingConfig {
  std::int64_t min_epochs = 1;
  std::int64_t reduction = 3;
};

/// A sweep file as it was read and checked.
struct SweepConfig {
  std::string name;  ///< of the file
  std::string description;
  nlohmann::json base = nlohmann::json::object();  ///< a config, the fixed keys put in
  std::string base_model;                          ///< that the base names, before the fixed keys
  std::set<std::string> base_keys;  ///< of the base that the fixed keys leave, dotted
  std::vector<Axis> grid;           ///< every combination
  std::vector<Axis> zip;            ///< the first values together, the second ones, ...
  /// Key and value pairs that belong together.
  std::vector<std::vector<std::pair<std::string, nlohmann::json>>> list;
  std::vector<RandomAxis> random;
  std::int64_t samples = 0;
  std::uint64_t random_seed = 0;
  std::vector<std::int64_t> seeds = {0};  ///< each variant is trained once with each
  Metric metric;
  std::int64_t retries = 1;        ///< of a trial that fails
  std::int64_t max_trials = 1000;  ///< more are an error
  std::int64_t max_epochs = 0;     ///< of all trials together; 0: no limit
  double max_hours = 0.0;          ///< of wall time; 0: no limit
  std::optional<HalvingConfig> halving;
};

/// Reads a sweep file. overrides: `key=value` for the config, after the file's `base` and `set`.
/// Errors (input): the file and key, what was found and expected; an override of a swept key.
[[nodiscard]] SweepConfig read_sweep(const std::filesystem::path& file,
                                     const std::vector<std::string>& overrides);

/// The metrics that a sweep can be judged by; with halving only those that each epoch has.
[[nodiscard]] std::vector<std::string> metric_names(bool each_epoch);

}  // namespace xception
