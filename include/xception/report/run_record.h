#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "xception/train/run_status.h"

namespace xception {

/// One epoch as history.jsonl has it. What is missing there, or was not finite, is unset.
struct EpochPoint {
  std::int64_t epoch = 0;  ///< counted from 1
  std::optional<double> train_loss = {};
  std::optional<double> train_accuracy = {};
  std::optional<double> validation_loss = {};
  std::optional<double> validation_accuracy = {};
  double train_seconds = 0.0;
  std::int64_t memory_bytes = 0;  ///< peak so far; 0: not recorded
};

/// What a run answered for each test image.
struct TestAnswers {
  std::vector<std::int64_t> indices = {};  ///< of the images in the test file, as evaluated
  std::vector<std::int64_t> labels = {};
  std::vector<std::int64_t> answers = {};  ///< the class of the highest probability
  std::vector<double> confidences = {};    ///< that probability
  std::int64_t classes = 0;

  [[nodiscard]] std::size_t size() const { return labels.size(); }
  [[nodiscard]] std::int64_t correct() const;
  [[nodiscard]] double accuracy() const;
  /// Whether the other one answered the same images, so that the two can be paired.
  [[nodiscard]] bool same_images(const TestAnswers& other) const {
    return indices == other.indices && labels == other.labels;
  }
};

/// A run directory as a report reads it; whatever is missing or damaged is a problem, in words.
struct RunRecord {
  std::filesystem::path folder = {};
  std::string name = {};  ///< what its sweep calls its variant, or else the folder's name
  nlohmann::ordered_json config = {};       ///< config.json, or an empty object
  nlohmann::ordered_json summary = {};      ///< summary.json, likewise
  nlohmann::ordered_json environment = {};  ///< environment.json, likewise
  std::vector<EpochPoint> history = {};
  std::optional<TestAnswers> answers = {};
  std::vector<std::string> problems = {};

  [[nodiscard]] RunStatus status() const;  ///< of the summary
  [[nodiscard]] bool is_complete() const { return status() == RunStatus::complete; }
  [[nodiscard]] std::string model() const;  ///< its name in the registry; empty if nothing tells
  [[nodiscard]] std::int64_t seed() const;
  [[nodiscard]] std::string data_checksum() const;  ///< empty if nothing tells
  /// What its data is called: its name, or what its files are found to be where they only look like
  /// that. Empty if nothing tells.
  [[nodiscard]] std::string data_name() const;
  [[nodiscard]] double train_seconds() const;       ///< sum of the recorded epochs
  [[nodiscard]] double images_per_second() const;   ///< 0 if nothing tells
  [[nodiscard]] std::int64_t memory_bytes() const;  ///< peak; 0 if nothing tells
};

/// A run directory, named as `RunRecord::name`.
struct RunFolder {
  std::filesystem::path folder = {};
  std::string name = {};
};

/// Reads a run directory. `checkpoint`: whose answers, `best` or `last`. Nothing is thrown for what
/// is missing or damaged in it.
[[nodiscard]] RunRecord read_run(const RunFolder& folder, const std::string& checkpoint);

/// The run directories that the paths name: runs themselves, the trials of sweeps, and runs that
/// lie directly in a folder; each once, in order. A sweep's are those that its sweep.json lists, as
/// in its leaderboard. `notices` gets what was left out. Errors (input): a path that doesn't exist
/// or holds no run; a sweep.json that is damaged.
[[nodiscard]] std::vector<RunFolder> find_runs(const std::vector<std::filesystem::path>& paths,
                                               std::vector<std::string>& notices);

}  // namespace xception
