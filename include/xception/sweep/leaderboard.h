#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "xception/sweep/sweep_directory.h"

namespace xception {

/// A variant over its seeds. Means are of the complete trials.
struct VariantRow {
  std::string label;
  std::size_t trials = 0;
  std::size_t complete = 0;
  std::vector<std::int64_t> seeds;  ///< of the complete ones
  std::vector<double> values;       ///< their metric
  double mean = 0.0;
  std::optional<double> deviation;  ///< sample standard deviation; unset below two
  double best_epoch = 0.0;          ///< mean
  std::optional<double> test_accuracy;
  std::int64_t parameters = 0;
  double train_seconds = 0.0;
  double images_per_second = 0.0;
  // Where none is complete: how far successive halving let the furthest trial go, and its metric.
  std::int64_t stopped_epoch = 0;
  std::optional<double> stopped_value;
  std::vector<std::string> problems;  ///< of trials that didn't get to their end: name and reason
};

/// Whether two variants differ by more than their seeds do.
struct Comparison {
  std::size_t better = 0;  ///< rows of the leaderboard
  std::size_t worse = 0;
  std::size_t pairs = 0;  ///< seeds that both have
  double difference = 0.0;
  std::optional<double> p =
      {};  ///< of Student's t-test, paired by seed, two-sided, after Holm's
           ///< correction for the number of comparisons; unset below two pairs
  /// In words: more than noise (p < 0.05), perhaps noise, one seed only.
  [[nodiscard]] std::string verdict() const;
};

struct Leaderboard {
  std::string metric;
  /// Best first; behind them those without a complete trial, the ones that came furthest first.
  std::vector<VariantRow> rows;
  std::vector<Comparison> comparisons;
};

[[nodiscard]] Leaderboard rank_variants(const SweepDescription& description,
                                        const std::vector<TrialStatus>& trials);

/// Writes leaderboard.md, .csv and .json. Errors (run).
void write_leaderboard(const SweepDirectory& directory, const SweepDescription& description,
                       const Leaderboard& board);

/// The table and the comparisons, as leaderboard.md has them.
[[nodiscard]] std::string leaderboard_text(const SweepDescription& description,
                                           const Leaderboard& board);

}  // namespace xception
