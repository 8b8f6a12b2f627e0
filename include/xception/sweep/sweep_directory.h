#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "xception/sweep/trials.h"
#include "xception/train/run_status.h"

namespace xception {

/// How a trial stands.
enum class TrialState {
  waiting,      ///< not begun, or stopped to go on
  running,      ///< a process has it
  paused,       ///< at a rung of successive halving, and perhaps for good
  complete,     ///< trained to its end and tested
  failed,       ///< as often as it may
  interrupted,  ///< stopped or killed with its sweep; goes on with --resume
};
[[nodiscard]] std::string state_name(TrialState state);

/// What a run directory says of a trial.
struct TrialResult {
  RunStatus status = RunStatus::unknown;        ///< of its summary
  std::int64_t epochs = 0;                      ///< complete ones
  std::optional<double> metric;                 ///< the sweep's; of the best epoch so far
  std::vector<std::optional<double>> by_epoch;  ///< the metric after each epoch
  std::optional<std::int64_t> best_epoch;
  std::optional<double> test_accuracy;
  std::int64_t parameters = 0;
  double train_seconds = 0.0;
  double images_per_second = 0.0;
};

/// An entry of a trial's journal: its process started or ended.
struct JournalEntry {
  bool start = false;
  std::string device = {};   ///< of a start
  std::int64_t until = 0;    ///< of a start: the epoch to stop at
  std::string outcome = {};  ///< of an end: complete, paused, interrupted, failed
  std::string reason = {};   ///< of a failure
  double seconds = 0.0;      ///< of an end: how long the process ran
  std::int64_t epochs = 0;   ///< of an end: complete ones of the trial
};

/// A folder with one sweep, and the only thing between a sweep and whoever reads it:
///
///     sweep.json                     the trials and what they are judged by
///     configs/TRIAL.json             what each was started with
///     journal/TRIAL.jsonl            a line for each start and end of its process
///     output/TRIAL.txt               what its process printed
///     trials/TRIAL/                  an ordinary run directory
///     leaderboard.{md,csv,json}
class SweepDirectory {
 public:
  explicit SweepDirectory(std::filesystem::path root) : root_(std::move(root)) {}

  [[nodiscard]] const std::filesystem::path& root() const { return root_; }
  [[nodiscard]] std::filesystem::path description() const { return root_ / "sweep.json"; }
  [[nodiscard]] std::filesystem::path config(const std::string& trial) const {
    return root_ / "configs" / (trial + ".json");
  }
  [[nodiscard]] std::filesystem::path journal(const std::string& trial) const {
    return root_ / "journal" / (trial + ".jsonl");
  }
  [[nodiscard]] std::filesystem::path output(const std::string& trial) const {
    return root_ / "output" / (trial + ".txt");
  }
  [[nodiscard]] std::filesystem::path run(const std::string& trial) const {
    return root_ / "trials" / trial;
  }
  [[nodiscard]] std::filesystem::path leaderboard(const std::string& extension) const {
    return root_ / ("leaderboard." + extension);
  }

  [[nodiscard]] bool holds_sweep() const { return std::filesystem::exists(description()); }

  /// Makes the folders. Errors (input): they cannot be made.
  void create() const;

  /// Appends a line to a trial's journal. Errors (run).
  void write(const std::string& trial, const JournalEntry& entry) const;
  /// A trial's journal; a line that was cut off by a crash is left out.
  [[nodiscard]] std::vector<JournalEntry> read_journal(const std::string& trial) const;

  /// What the trial's run directory says, by the metric.
  [[nodiscard]] TrialResult read_result(const std::string& trial, const Metric& metric) const;

 private:
  std::filesystem::path root_;
};

/// The sweep as sweep.json has it: enough for `sweep status` and for leaderboards.
struct SweepDescription {
  std::string name;
  std::string text;
  Metric metric;
  std::int64_t retries = 0;
  std::int64_t epochs = 0;  ///< of a trial that isn't stopped; the most of all
  bool halving = false;
  std::vector<std::string> variants;  ///< labels
  struct Entry {
    std::string name;
    std::size_t variant = 0;
    std::int64_t seed = 0;
    std::int64_t epochs = 0;
    std::string hash;
  };
  std::vector<Entry> trials;
};

[[nodiscard]] SweepDescription describe_sweep(const SweepConfig& sweep, const TrialPlan& plan);
[[nodiscard]] nlohmann::ordered_json to_json(const SweepDescription& description);
/// Errors (input): no sweep there.
[[nodiscard]] SweepDescription read_description(const SweepDirectory& directory);

/// A trial with all that is known of it.
struct TrialStatus {
  TrialState state = TrialState::waiting;
  TrialResult result;
  std::string device;           ///< where it runs or ran last
  std::string reason;           ///< of its last failure
  std::int64_t unfinished = 0;  ///< the epoch that its last process was to reach, if it didn't
  std::int64_t failures = 0;    ///< one after the other, without a new epoch between them
};

/// A trial's status. One whose process started and didn't end counts as running while somebody
/// holds the lock of its run directory, or while it starts and the sweep's own lock is held.
[[nodiscard]] TrialStatus read_status(const SweepDirectory& directory,
                                      const SweepDescription& description,
                                      const SweepDescription::Entry& trial);

}  // namespace xception
