#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "xception/bench/results.h"

namespace xception {

/// Lines that say on what and with what is measured.
[[nodiscard]] std::vector<std::string> bench_header(const BenchResults& results);

/// Aligned lines: titles, a case a line (order_by_speed), and what the figures mean.
[[nodiscard]] std::vector<std::string> bench_table(const BenchResults& results);

/// Everything, as src/bench/README.md describes it. Cases in the table's order.
[[nodiscard]] nlohmann::ordered_json bench_json(const BenchResults& results);

/// A line a window, or a line a case that has none; the case's figures are repeated in each.
[[nodiscard]] std::string bench_csv(const BenchResults& results);

}  // namespace xception
