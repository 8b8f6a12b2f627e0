#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "xception/config/config.h"
#include "xception/models/model_config.h"
#include "xception/optim/optimizer.h"
#include "xception/optim/schedule.h"
#include "xception/optim/weight_average.h"
#include "xception/train/mix.h"

namespace xception {

/// All that decides the result of a run. Written to the run directory before the first step.
struct RunConfig : InputConfig {
  ModelConfig model;
  OptimizerConfig optimizer;
  ScheduleConfig schedule;
  AverageConfig average;
  MixConfig mix;
  TrainConfig train;
  ParallelConfig parallel;
  std::string description;  ///< what the config is for, in words; decides nothing

  /// The dotted keys that the file or the command line gave. Not written.
  std::set<std::string> given;
  /// What was left out of the file, a sentence each, for the log. Not written.
  std::vector<std::string> notices;
};

/// Reads a config file, or the recipe that `recipe:NAME` means (train/recipes.h), and applies
/// `key=value` overrides in order. A value is JSON where it parses as JSON, else a string. Without
/// a file, the defaults are overridden. Where an override names another model, keys of the file
/// that only its model reads are left out, which `notices` says. Errors: a key that two overrides
/// give different values; input errors that name the file or `command line`, the key, what was
/// found and expected.
[[nodiscard]] RunConfig load_config(const std::optional<std::filesystem::path>& file,
                                    const std::vector<std::string>& overrides);

/// Leaves out (reset_foreign_keys) what a file says for its own model, where the config's is
/// another. `keys`: the file's, dotted; `where`: what file it was, for the notice.
void leave_out_foreign_keys(RunConfig& config, const std::string& meant_for,
                            const std::set<std::string>& keys, const std::string& where);

/// Applies `key=value` overrides in order, as load_config does. Errors: likewise.
void override_config(RunConfig& config, const std::vector<std::string>& overrides);

/// Reads the config that `to_json` wrote. `where` starts the messages. Errors (input).
[[nodiscard]] RunConfig config_of_json(const nlohmann::json& json, const std::string& where);

/// Settles the global batch for so many ranks: `train.batch_size`, or the ranks times
/// `train.batch_size_per_device`, which is 0 afterwards. Errors (input): both are given and differ.
void resolve_batch_size(RunConfig& config, int ranks);
/// Errors (input): the ranks don't divide the batch; names one that they do.
void check_batch_size(const RunConfig& config, int ranks);

/// Every key with its value, in the order of declaration; `load_config` reads it back unchanged.
[[nodiscard]] nlohmann::ordered_json to_json(RunConfig config);

/// A run's config (as `to_json` writes it) without the keys that cannot change its result: paths,
/// threads, ranks, logging, and newer keys at their defaults (KeyUse::newer). Keys that are missing
/// are no error: an older version wrote it.
[[nodiscard]] nlohmann::ordered_json decisive_config(nlohmann::ordered_json config);

/// Every key with type, default, range and meaning.
[[nodiscard]] std::vector<KeyDescription> config_schema();

/// Fills in what the config leaves to its model, and checks the rest against the model's limits
/// (models/registry.h).
void resolve_model(RunConfig& config);

/// Refuses settings of which each is in its range but that can't be meant together, such as a
/// warm-up longer than the training. For a run that begins: one that goes on has what it has.
/// Errors (input): the key, what was found, what was expected.
void check_together(const RunConfig& config);

/// Keys that were given and aren't at their default, but that the chosen optimizer.name,
/// schedule.name or average.name doesn't read: a sentence each.
[[nodiscard]] std::vector<std::string> unread_keys(const RunConfig& config);

}  // namespace xception
