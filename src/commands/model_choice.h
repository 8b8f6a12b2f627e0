#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include "xception/train/load_run.h"

namespace xception {

/// The options by which a subcommand is told a trained model: a run's checkpoint, or a file of
/// weights.
struct ModelChoice {
  std::string run;
  std::string weights;
  std::vector<std::string> settings;  ///< `key=value`, with weights
  std::string checkpoint = "best";    ///< with run

  /// The variables are this object's, which outlives the command.
  void add_options(CLI::App& command);

  /// Errors (input): neither or both are given; as load_run and load_weights. `room` is the origin
  /// of its own messages.
  [[nodiscard]] LoadedRun load(const std::string& room, const torch::Device& device) const;
};

/// Adds `--tta`, test-time augmentation by views (train/views.h). choice: a variable that outlives
/// the command.
void add_tta_option(CLI::App& command, std::string& choice);

}  // namespace xception
