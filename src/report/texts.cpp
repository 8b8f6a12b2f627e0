#include <fmt/format.h>

#include <cmath>

#include "sections.h"

namespace xception {

std::string percent(double share) {
  return fmt::format("{:.2f} %", 100.0 * share);
}

std::string points(double share) {
  return fmt::format("{:.2f} points", 100.0 * share);
}

std::string p_text(double p) {
  if (p < 0.0001) return "below 0.0001";
  return fmt::format("{:.2g}", p);
}

std::string grouped(std::int64_t n) {
  const auto digits = std::to_string(n < 0 ? -n : n);
  std::string text = n < 0 ? "-" : "";
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text += ',';
    text += digits[i];
  }
  return text;
}

std::string seconds_text(double seconds) {
  return fmt::format("{:.2f} s", seconds);
}

std::string percent_of(const Mean& mean) {
  if (mean.empty()) return "-";
  const auto deviation = mean.deviation();
  if (!deviation) return percent(mean.mean());
  return fmt::format("{} ± {:.2f}", percent(mean.mean()), 100.0 * *deviation);
}

std::string text_of(const Mean& mean, int digits, const std::string& unit) {
  if (mean.empty()) return "-";
  auto text = fmt::format("{:.{}f}", mean.mean(), digits);
  if (const auto deviation = mean.deviation())
    text += fmt::format(" ± {:.{}f}", *deviation, digits);
  return unit.empty() ? text : text + " " + unit;
}

}  // namespace xception
