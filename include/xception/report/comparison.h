#pragma once

#include <optional>
#include <string>
#include <vector>

#include "xception/report/run_set.h"
#include "xception/statistics/classification.h"
#include "xception/statistics/paired.h"

namespace xception {

/// A mean over runs with what is known of its spread.
struct Mean {
  std::vector<double> values = {};
  [[nodiscard]] bool empty() const { return values.empty(); }
  [[nodiscard]] double mean() const { return mean_of(values); }
  [[nodiscard]] std::optional<double> deviation() const { return deviation_of(values); }
  [[nodiscard]] double low() const;   ///< the smallest; not for an empty one
  [[nodiscard]] double high() const;  ///< the largest
};

/// A variant over its runs. Test figures are of complete runs.
struct VariantResult {
  std::size_t runs = 0;
  std::size_t complete = 0;
  std::vector<std::int64_t> seeds = {};  ///< of the tested runs
  Mean test_accuracy = {};
  Mean last_test_accuracy = {};  ///< of the last epoch
  Mean train_seconds = {};
  Mean epoch_seconds = {};
  Mean images_per_second = {};
  Mean energy_joules = {};
  std::int64_t parameters = 0;          ///< 0: unknown
  std::int64_t multiply_adds = 0;       ///< an image, evaluation; 0: unknown
  std::int64_t memory_bytes = 0;        ///< the most of its runs; 0: unknown
  std::string device = {};              ///< where it trained: device, threads, ranks, precision
  std::optional<Interval> wilson = {};  ///< of the mean accuracy on one test set
  std::optional<ConfusionMatrix> confusion = {};  ///< of all tested runs together
  std::optional<Calibration> calibration = {};    ///< likewise
};

/// Two variants against each other.
struct PairResult {
  std::size_t first = 0;  ///< places in RunSet::variants
  std::size_t second = 0;
  std::vector<std::int64_t> seeds = {};       ///< that both have
  std::vector<double> differences = {};       ///< first - second in test accuracy, by seed
  double difference = 0.0;                    ///< their mean; without common seeds, of the means
  std::optional<double> p = {};               ///< paired t-test over seeds, Holm over all pairs
  std::vector<McNemar> mcnemar = {};          ///< by seed, on the same images
  std::vector<double> mcnemar_p = {};         ///< Holm over all of the report's
  std::vector<std::int64_t> both_wrong = {};  ///< images that both have wrong with every seed
  std::size_t images = 0;                     ///< that both answered

  /// The seeds settle it: p below 0.05.
  [[nodiscard]] bool is_settled() const { return p && *p < 0.05; }
};

/// At most this many pairs: all of few variants, each against the best of many.
inline constexpr std::size_t kMostPairs = 15;

struct ComparisonResult {
  std::vector<VariantResult> variants = {};  ///< as in RunSet
  std::vector<PairResult> pairs = {};
};

[[nodiscard]] ComparisonResult compare_variants(const RunSet& set);

/// Who has the higher validation accuracy after each second of training, as means over the seeds.
struct Lead {
  double from_seconds = 0.0;
  std::size_t variant = 0;
};
/// Only variants with validated epochs take part; empty below two.
[[nodiscard]] std::vector<Lead> lead_by_time(const RunSet& set);

/// The mean over a variant's runs of a value of each epoch, where all runs that got so far have it.
struct MeanCurve {
  std::vector<double> epoch = {};
  std::vector<double> seconds = {};  ///< of training until then
  std::vector<double> mean = {};
  std::vector<double> low = {};  ///< over the runs
  std::vector<double> high = {};
  [[nodiscard]] bool empty() const { return epoch.empty(); }
};
using EpochValue = std::optional<double> (*)(const EpochPoint&);
[[nodiscard]] MeanCurve mean_curve(const RunSet& set, const RunVariant& variant, EpochValue value);

}  // namespace xception
