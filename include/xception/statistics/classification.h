#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace xception {

/// A range of values.
struct Interval {
  double low = 0.0;
  double high = 0.0;
};

/// Wilson's score interval (1927) of a share (statsmodels' proportion_confint, method wilson).
/// No trials: 0 to 1.
[[nodiscard]] Interval wilson_interval(std::int64_t successes, std::int64_t trials,
                                       double confidence = 0.95);

/// How well one class is recognized; as scikit-learn's precision_recall_fscore_support with
/// zero_division = 0.
struct ClassScores {
  double precision = 0.0;
  double recall = 0.0;
  double f1 = 0.0;
  std::int64_t support = 0;  ///< images of the class
};

/// Counts of (label, prediction).
class ConfusionMatrix {
 public:
  explicit ConfusionMatrix(std::int64_t classes)
      : classes_(classes), counts_(static_cast<std::size_t>(classes * classes), 0) {}

  /// Labels and predictions are 0 .. classes - 1.
  void add(std::int64_t label, std::int64_t prediction) { ++counts_[place(label, prediction)]; }
  [[nodiscard]] std::int64_t at(std::int64_t label, std::int64_t prediction) const {
    return counts_[place(label, prediction)];
  }
  [[nodiscard]] std::int64_t classes() const { return classes_; }
  [[nodiscard]] std::int64_t total() const;
  [[nodiscard]] std::int64_t correct() const;
  [[nodiscard]] std::vector<ClassScores> scores() const;
  /// Mean of the classes' F1, each counting the same.
  [[nodiscard]] double macro_f1() const;

  /// Mean of the recalls of the classes that have images, as scikit-learn's
  /// balanced_accuracy_score.
  [[nodiscard]] double balanced_accuracy() const;

  /// Two classes that are taken for each other.
  struct Pair {
    std::int64_t first = 0;  ///< the smaller number
    std::int64_t second = 0;
    std::int64_t first_as_second = 0;
    std::int64_t second_as_first = 0;
    [[nodiscard]] std::int64_t total() const { return first_as_second + second_as_first; }
  };
  /// The pairs with at least one confusion, the most confused first, at most `most`.
  [[nodiscard]] std::vector<Pair> confused_pairs(std::size_t most) const;

 private:
  [[nodiscard]] std::size_t place(std::int64_t label, std::int64_t prediction) const {
    return static_cast<std::size_t>(label * classes_ + prediction);
  }
  std::int64_t classes_;
  std::vector<std::int64_t> counts_;
};

/// How far the probability that a model gives its answer is the share of right answers (Guo et al.,
/// arXiv 1706.04599): answers in bins of equal width by their probability, lower edge excluded.
struct Calibration {
  struct Bin {
    std::int64_t count = 0;
    double confidence = 0.0;  ///< mean probability of the answers
    double accuracy = 0.0;    ///< share of right ones
  };
  std::vector<Bin> bins = {};
  /// Expected calibration error: mean over the answers of |accuracy - confidence| of their bin.
  double ece = 0.0;
};

/// confidences: each answer's probability, 0 .. 1; right: whether it was right. Equal lengths.
[[nodiscard]] Calibration calibrate(const std::vector<double>& confidences,
                                    const std::vector<bool>& right, std::size_t bins = 15);

}  // namespace xception
