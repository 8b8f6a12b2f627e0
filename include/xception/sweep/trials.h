#pragma once

#include <string>
#include <utility>
#include <vector>

#include "xception/sweep/sweep_file.h"
#include "xception/train/run_config.h"

namespace xception {

/// One setting of the swept keys.
struct Variant {
  std::string label;  ///< `intermediate_activation=relu`
  std::vector<std::pair<std::string, nlohmann::json>> settings;
};

/// One run of a sweep.
struct Trial {
  std::string name;         ///< of its run directory: label, seed, the hash's beginning
  std::size_t variant = 0;  ///< its place among the variants
  std::int64_t seed = 0;
  RunConfig config;
  std::string hash;
};

/// All that a sweep will run.
struct TrialPlan {
  std::vector<Variant> variants;
  std::vector<Trial> trials;  ///< variant by variant, seed by seed
};

/// The settings of a sweep in order: list entries, for each the zipped rows, for each the grid's
/// combinations (the last key changes fastest), for each the random samples.
[[nodiscard]] std::vector<Variant> expand_variants(const SweepConfig& sweep);

/// Builds and checks the config of each variant and seed. Errors (input): a config that `train`
/// would refuse, and why; two trials that would be the same; too many trials.
[[nodiscard]] TrialPlan plan_trials(const SweepConfig& sweep, const std::string& data_checksum);

/// SHA-256 of all that can change a run's result: the config without paths, threads, time-outs and
/// logging, and the data's checksum.
[[nodiscard]] std::string result_hash(const RunConfig& config, const std::string& data_checksum);

}  // namespace xception
