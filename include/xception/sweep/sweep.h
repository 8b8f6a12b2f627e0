#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace xception {

/// What the user asked `xception sweep` for.
struct SweepRequest {
  std::filesystem::path file;
  std::vector<std::string> overrides;  ///< `key=value`, for every trial
  std::string data;                    ///< folder; empty: the config's
  std::string out;                     ///< empty: sweeps/<name of the file>
  std::string device = "auto";         ///< auto and all: every GPU, else the CPU
  std::int64_t jobs = 0;               ///< trials at a time; 0: one a device
  std::string launcher = "local";      ///< or slurm
  std::vector<std::string> sbatch;     ///< options for sbatch, `--partition=gpu`
  bool resume = false;
  bool dry_run = false;
};

/// Checks the sweep, runs its trials, each in a process of its own, and writes the leaderboard.
/// Returns the exit code: 0 if every trial came to its end or was stopped by the sweep's own rules,
/// 1 if some failed or none is complete, 128 + n when signal n stopped it. Errors: input before the
/// first trial.
int run_sweep(const SweepRequest& request);

/// Runs one trial of a sweep to its end, with its retries; what a task of a Slurm array does.
int run_sweep_trial(const std::filesystem::path& directory, const std::string& trial,
                    const std::string& device);

/// Prints how a sweep stands. watch: again every two seconds, until nothing runs or waits.
void show_sweep_status(const std::filesystem::path& directory, bool watch, bool json);

}  // namespace xception
