#pragma once

#include <chrono>

namespace xception {

/// Seconds of wall-clock time since then.
[[nodiscard]] inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace xception
