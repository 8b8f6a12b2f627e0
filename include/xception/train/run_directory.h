#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "xception/core/folder_lock.h"
#include "xception/train/run_config.h"

namespace xception {

/// A folder with one training run, and the only thing between training and whoever reads it:
///
///     config.json        the resolved config, before the first step
///     environment.json   versions, devices, threads, git commit, command line
///     log.txt
///     history.jsonl, history.csv     a row an epoch
///     events.out.tfevents.*          TensorBoard
///     checkpoints/step-N/{model.safetensors, optimizer.safetensors, state.json}
///     checkpoints/last, best         links (files with a name where the file system has none)
///     predictions-best-test.safetensors, predictions-last-test.safetensors
///     summary.json
class RunDirectory {
 public:
  explicit RunDirectory(std::filesystem::path root) : root_(std::move(root)) {}

  [[nodiscard]] const std::filesystem::path& root() const { return root_; }
  [[nodiscard]] std::filesystem::path config() const { return root_ / "config.json"; }
  [[nodiscard]] std::filesystem::path environment() const { return root_ / "environment.json"; }
  [[nodiscard]] std::filesystem::path log() const { return root_ / "log.txt"; }
  [[nodiscard]] std::filesystem::path history_jsonl() const { return root_ / "history.jsonl"; }
  [[nodiscard]] std::filesystem::path history_csv() const { return root_ / "history.csv"; }
  [[nodiscard]] std::filesystem::path checkpoints() const { return root_ / "checkpoints"; }
  [[nodiscard]] std::filesystem::path summary() const { return root_ / "summary.json"; }
  [[nodiscard]] std::filesystem::path predictions(const std::string& checkpoint,
                                                  const std::string& split) const {
    return root_ / ("predictions-" + checkpoint + "-" + split + ".safetensors");
  }

  /// Whether a run was started here. One that lost its config still has what it saved.
  [[nodiscard]] bool holds_run() const;

  /// Makes the folder and proves that files can be written there, files of a run that goes on among
  /// them; copies that were made read-only get their permission back. Errors (input): it cannot.
  void create() const;

  /// Reads the config of the run that is here. Errors (input): there is none.
  [[nodiscard]] RunConfig read_config() const;

 private:
  std::filesystem::path root_;
};

/// Keeps other processes from training in the same folder, for its lifetime; a lock whose owner
/// died holds nobody. Errors (input): another process has it.
class RunLock {
 public:
  explicit RunLock(const RunDirectory& directory);

 private:
  FolderLock lock_;
};

/// Makes the folder of a new run that was given none: the first of `runs/<name>`, `runs/<name>-2`,
/// ... that nobody has, also where several processes look for theirs at once. Errors (input): it
/// cannot be made.
[[nodiscard]] RunDirectory claim_run_directory(const std::string& name);

/// Which of those folders that would be now, or with `resume` the newest of them.
[[nodiscard]] std::filesystem::path default_run_directory(const std::string& name, bool resume);

}  // namespace xception
