#include "xception/statistics/classification.h"

#include <algorithm>
#include <boost/math/distributions/normal.hpp>
#include <cmath>
#include <numeric>

namespace xception {
namespace {

double share(std::int64_t part, std::int64_t whole) {
  return whole == 0 ? 0.0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

Interval wilson_interval(std::int64_t successes, std::int64_t trials, double confidence) {
  if (trials == 0) return {0.0, 1.0};
  const double z = boost::math::quantile(boost::math::normal(), 0.5 + confidence / 2.0);
  const auto n = static_cast<double>(trials);
  const double p = static_cast<double>(successes) / n;
  const double whole = 1.0 + z * z / n;
  const double center = (p + z * z / (2.0 * n)) / whole;
  const double half = z * std::sqrt((p * (1.0 - p) + z * z / (4.0 * n)) / n) / whole;
  return {std::max(0.0, center - half), std::min(1.0, center + half)};
}

std::int64_t ConfusionMatrix::total() const {
  return std::accumulate(counts_.begin(), counts_.end(), std::int64_t{0});
}

std::int64_t ConfusionMatrix::correct() const {
  std::int64_t sum = 0;
  for (std::int64_t c = 0; c < classes_; ++c) sum += at(c, c);
  return sum;
}

std::vector<ClassScores> ConfusionMatrix::scores() const {
  std::vector<ClassScores> result;
  for (std::int64_t c = 0; c < classes_; ++c) {
    std::int64_t predicted = 0;
    ClassScores scores;
    for (std::int64_t other = 0; other < classes_; ++other) {
      scores.support += at(c, other);
      predicted += at(other, c);
    }
    scores.precision = share(at(c, c), predicted);
    scores.recall = share(at(c, c), scores.support);
    scores.f1 = share(2 * at(c, c), scores.support + predicted);
    result.push_back(scores);
  }
  return result;
}

double ConfusionMatrix::macro_f1() const {
  double sum = 0.0;
  for (const auto& scores_of_class : scores()) sum += scores_of_class.f1;
  return classes_ == 0 ? 0.0 : sum / static_cast<double>(classes_);
}

double ConfusionMatrix::balanced_accuracy() const {
  double sum = 0.0;
  int classes = 0;
  for (const auto& scores_of_class : scores()) {
    if (scores_of_class.support == 0) continue;
    sum += scores_of_class.recall;
    ++classes;
  }
  return classes == 0 ? 0.0 : sum / classes;
}

std::vector<ConfusionMatrix::Pair> ConfusionMatrix::confused_pairs(std::size_t most) const {
  std::vector<Pair> pairs;
  for (std::int64_t a = 0; a < classes_; ++a) {
    for (std::int64_t b = a + 1; b < classes_; ++b) {
      if (at(a, b) + at(b, a) > 0) pairs.push_back({a, b, at(a, b), at(b, a)});
    }
  }
  std::stable_sort(pairs.begin(), pairs.end(),
                   [](const Pair& a, const Pair& b) { return a.total() > b.total(); });
  if (pairs.size() > most) pairs.resize(most);
  return pairs;
}

Calibration calibrate(const std::vector<double>& confidences, const std::vector<bool>& right,
                      std::size_t bins) {
  Calibration result;
  result.bins.resize(bins);
  for (std::size_t i = 0; i < confidences.size(); ++i) {
    // The bin whose upper edge is the first that isn't below the confidence.
    std::size_t b = 0;
    while (b + 1 < bins &&
           confidences[i] > static_cast<double>(b + 1) / static_cast<double>(bins)) {
      ++b;
    }
    auto& bin = result.bins[b];
    ++bin.count;
    bin.confidence += confidences[i];
    bin.accuracy += right[i] ? 1.0 : 0.0;
  }
  for (auto& bin : result.bins) {
    if (bin.count == 0) continue;
    const auto n = static_cast<double>(bin.count);
    result.ece += std::abs(bin.accuracy - bin.confidence) / static_cast<double>(confidences.size());
    bin.confidence /= n;
    bin.accuracy /= n;
  }
  return result;
}

}  // namespace xception
