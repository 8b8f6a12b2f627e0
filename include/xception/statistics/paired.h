#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace xception {

/// 0 without values.
[[nodiscard]] double mean_of(const std::vector<double>& values);

/// Sample standard deviation (n - 1); unset below two values.
[[nodiscard]] std::optional<double> deviation_of(const std::vector<double>& values);

/// Two-sided p of Student's t for the mean of paired differences being 0 (scipy.stats.ttest_rel);
/// unset below two. Differences that are all equal: 0, or 1 where they are 0.
[[nodiscard]] std::optional<double> paired_t_test(const std::vector<double>& differences);

/// Holm's step-down correction (1979): the adjusted values in the order of the given ones.
[[nodiscard]] std::vector<double> holm(const std::vector<double>& p);

/// McNemar's test (1947) of two classifiers on the same images.
struct McNemar {
  std::int64_t only_first = 0;     ///< images that the first has right and the second wrong
  std::int64_t only_second = 0;    ///< the other way round
  double exact_p = 1.0;            ///< two-sided, binomial
  double chi_square = 0.0;         ///< with Edwards' continuity correction
  double chi_square_p = 1.0;       ///< upper tail, one degree of freedom
  [[nodiscard]] double p() const;  ///< exact below 25 images that differ, else chi-square's
};

/// As statsmodels.stats.contingency_tables.mcnemar. Nothing differs: every p is 1.
[[nodiscard]] McNemar mcnemar(std::int64_t only_first, std::int64_t only_second);

}  // namespace xception
