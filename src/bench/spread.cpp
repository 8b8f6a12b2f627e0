#include "xception/bench/spread.h"

#include <algorithm>

namespace xception {

Spread spread_of(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto half = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2.0;
  return {.median = median, .min = values.front(), .max = values.back()};
}

}  // namespace xception
