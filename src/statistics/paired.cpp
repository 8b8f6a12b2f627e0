#include "xception/statistics/paired.h"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <numeric>

namespace xception {

double mean_of(const std::vector<double>& values) {
  if (values.empty()) return 0.0;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::optional<double> deviation_of(const std::vector<double>& values) {
  if (values.size() < 2) return std::nullopt;
  const auto mean = mean_of(values);
  double sum = 0.0;
  for (const auto value : values) sum += (value - mean) * (value - mean);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

std::optional<double> paired_t_test(const std::vector<double>& differences) {
  const auto deviation = deviation_of(differences);
  if (!deviation) return std::nullopt;
  const auto mean = mean_of(differences);
  if (*deviation == 0.0) return mean == 0.0 ? 1.0 : 0.0;
  const auto n = static_cast<double>(differences.size());
  const double t = mean / (*deviation / std::sqrt(n));
  const boost::math::students_t distribution(n - 1.0);
  return 2.0 * boost::math::cdf(boost::math::complement(distribution, std::abs(t)));
}

std::vector<double> holm(const std::vector<double>& p) {
  std::vector<std::size_t> order(p.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return p[a] < p[b]; });
  std::vector<double> adjusted(p.size());
  double largest = 0.0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    largest = std::max(largest, static_cast<double>(p.size() - i) * p[order[i]]);
    adjusted[order[i]] = std::min(1.0, largest);
  }
  return adjusted;
}

double McNemar::p() const {
  return only_first + only_second < 25 ? exact_p : chi_square_p;
}

McNemar mcnemar(std::int64_t only_first, std::int64_t only_second) {
  McNemar result{.only_first = only_first, .only_second = only_second};
  const auto n = only_first + only_second;
  if (n == 0) return result;
  const boost::math::binomial fair(static_cast<double>(n), 0.5);
  const auto fewer = static_cast<double>(std::min(only_first, only_second));
  result.exact_p = std::min(1.0, 2.0 * boost::math::cdf(fair, fewer));
  const double excess =
      std::max(0.0, std::abs(static_cast<double>(only_first - only_second)) - 1.0);
  result.chi_square = excess * excess / static_cast<double>(n);
  result.chi_square_p =
      boost::math::cdf(boost::math::complement(boost::math::chi_squared(1.0), result.chi_square));
  return result;
}

}  // namespace xception
