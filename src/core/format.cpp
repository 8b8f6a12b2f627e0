#include "xception/core/format.h"

#include <fmt/format.h>

#include <cmath>

namespace xception {

std::string format_duration(double seconds) {
  const auto total = std::isfinite(seconds) ? static_cast<std::int64_t>(seconds + 0.5) : 0;
  const auto hours = total / 3600;
  const auto minutes = total / 60 % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, total % 60)
                   : fmt::format("{}:{:02}", minutes, total % 60);
}

std::string format_bytes(std::int64_t bytes) {
  const auto value = static_cast<double>(bytes);
  return value >= 1e9 ? fmt::format("{:.1f} GB", value / 1e9)
                      : fmt::format("{:.0f} MB", value / 1e6);
}

}  // namespace xception
