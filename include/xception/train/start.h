#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "xception/train/run_config.h"

namespace xception {

/// What the user asked `xception train` for.
struct TrainRequest {
  std::optional<std::filesystem::path> config_file;
  std::vector<std::string> overrides;  ///< `key=value`
  std::string data;                    ///< folder; empty: the config's
  std::string init;                    ///< file or run directory of weights; empty: the config's
  std::string out;                     ///< run directory; empty: runs/<name of the config>
  std::string device = "auto";         ///< as plan_job takes it
  std::int64_t ranks = 0;              ///< likewise
  bool resume = false;
  bool deterministic = false;
  bool dry_run = false;
  std::vector<std::string> command_line;  ///< for environment.json, and for ranks to start
  std::chrono::steady_clock::time_point start = std::chrono::steady_clock::now();
};

/// The config that a request asks for: its file, its overrides, and its options that are keys.
/// Errors (input): as load_config.
[[nodiscard]] RunConfig requested_config(const TrainRequest& request);

/// Checks everything, shows the start-up table, trains: in this process, as one of the ranks that
/// torchrun or Slurm started, or by starting ranks and waiting for them. Returns the exit code: 0,
/// or 128 + n when signal n stopped the run after saving. Errors: input before the first step, run
/// afterwards; a failed rank of several doesn't return but ends its process.
int start_training(const TrainRequest& request);

}  // namespace xception
