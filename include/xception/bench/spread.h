#pragma once

#include <vector>

namespace xception {

/// Several measurements of one thing.
struct Spread {
  double median = 0.0;  ///< of an even number: the mean of the two in the middle
  double min = 0.0;
  double max = 0.0;
};

/// All 0 for no values.
[[nodiscard]] Spread spread_of(std::vector<double> values);

}  // namespace xception
