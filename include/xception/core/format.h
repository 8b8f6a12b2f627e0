#pragma once

#include <cstdint>
#include <string>

namespace xception {

/// Seconds as `1:02:03` or `2:03`.
[[nodiscard]] std::string format_duration(double seconds);

/// Bytes as `1.5 GB` or `20 MB`, in powers of 1000.
[[nodiscard]] std::string format_bytes(std::int64_t bytes);

}  // namespace xception
